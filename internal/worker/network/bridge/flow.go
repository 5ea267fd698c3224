package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// endFlows makes the kernel forget where it sends datagrams to, for ports that
// lead elsewhere now. Unlike a connection, a flow of them never ends while
// somebody sends.
func endFlows(before, now *rules) error {
	if before == nil {
		before = &rules{}
	}
	ports := map[uint16][]netip.Addr{}
	for _, port := range append(changedUDP(before, now), changedUDP(now, before)...) {
		ports[port] = nil
	}
	if len(ports) == 0 {
		return nil
	}
	for _, f := range now.forwards {
		if _, changed := ports[f.HostPort]; changed && f.Protocol == network.UDP {
			for _, to := range f.To {
				ports[f.HostPort] = append(ports[f.HostPort], to.Addr())
			}
		}
	}
	own, err := ownAddresses()
	if err != nil {
		return err
	}
	_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, &staleFlows{ports, own})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("end flows to tasks that left: %w", err)
	}
	return nil
}

// changedUDP lists the ports whose forwards are not the same in other rules.
func changedUDP(these, others *rules) []uint16 {
	var ports []uint16
	for _, f := range these.forwards {
		same := func(o network.Forward) bool { return network.SameForwards([]network.Forward{f}, []network.Forward{o}) }
		if f.Protocol == network.UDP && !slices.ContainsFunc(others.forwards, same) {
			ports = append(ports, f.HostPort)
		}
	}
	return ports
}

// ownAddresses are this machine's.
func ownAddresses() (map[netip.Addr]bool, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	own := map[netip.Addr]bool{}
	for _, a := range list {
		if p, ok := prefixOf(a.IPNet); ok {
			own[p.Addr()] = true
		}
	}
	return own, nil
}

// staleFlows matches flows of datagrams to published ports of this machine that
// are answered by others than those behind them.
type staleFlows struct {
	behind map[uint16][]netip.Addr
	own    map[netip.Addr]bool
}

// MatchConntrackFlow is for netlink.
func (s *staleFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	behind, published := s.behind[flow.Forward.DstPort]
	to, _ := netip.AddrFromSlice(flow.Forward.DstIP)
	from, _ := netip.AddrFromSlice(flow.Reverse.SrcIP)
	return published && flow.Forward.Protocol == unix.IPPROTO_UDP &&
		(s.own[to.Unmap()] || to.Unmap().IsLoopback()) && !slices.Contains(behind, from.Unmap())
}
