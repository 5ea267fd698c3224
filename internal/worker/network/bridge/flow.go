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

// endFlows makes the kernel forget where it leads callers of ports that lead
// elsewhere now. Unlike a connection, a flow of datagrams never ends while
// somebody sends; and who opens a connection from the same port of his own as
// one that has ended is led where that one was.
func endFlows(before, now *rules) error {
	if before == nil {
		before = &rules{}
	}
	behind := map[place][]netip.Addr{}
	for _, at := range changed(before, now) {
		behind[at] = nil
	}
	for _, at := range changed(now, before) {
		if at.protocol == network.UDP { // none of TCP has ended there yet
			behind[at] = nil
		}
	}
	if len(behind) == 0 {
		return nil
	}
	for _, f := range now.forwards {
		at := place{f.Protocol, f.HostPort}
		if _, changed := behind[at]; !changed {
			continue
		}
		for _, to := range f.To {
			behind[at] = append(behind[at], to.Addr())
		}
	}
	own, err := ownAddresses()
	if err != nil {
		return err
	}
	_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, &staleFlows{behind, own})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("end flows to tasks that left: %w", err)
	}
	return nil
}

// changed lists the ports whose forwards are not the same in other rules. One
// of TCP that leads to more than before is none of them.
func changed(these, others *rules) []place {
	var ports []place
	for _, f := range these.forwards {
		same := func(o network.Forward) bool {
			return f.HostAddress == o.HostAddress && f.HostPort == o.HostPort && f.Protocol == o.Protocol &&
				(slices.Equal(f.To, o.To) || f.Protocol == network.TCP && contains(o.To, f.To))
		}
		if !slices.ContainsFunc(others.forwards, same) {
			ports = append(ports, place{f.Protocol, f.HostPort})
		}
	}
	return ports
}

func contains(all, some []netip.AddrPort) bool {
	return !slices.ContainsFunc(some, func(a netip.AddrPort) bool { return !slices.Contains(all, a) })
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

// staleFlows matches flows to published ports of this machine that are answered
// by others than those behind them; of TCP only what has ended.
type staleFlows struct {
	behind map[place][]netip.Addr
	own    map[netip.Addr]bool
}

// MatchConntrackFlow is for netlink.
func (s *staleFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	at := place{network.UDP, flow.Forward.DstPort}
	if flow.Forward.Protocol == unix.IPPROTO_TCP {
		at.protocol = network.TCP
	}
	behind, published := s.behind[at]
	to, _ := netip.AddrFromSlice(flow.Forward.DstIP)
	from, _ := netip.AddrFromSlice(flow.Reverse.SrcIP)
	return published && (at.protocol == network.UDP || ended(flow)) &&
		(s.own[to.Unmap()] || to.Unmap().IsLoopback()) && !slices.Contains(behind, from.Unmap())
}

// tcpTimeWait is the kernel's TCP_CONNTRACK_TIME_WAIT; what comes behind it has
// ended too.
const tcpTimeWait = 7

func ended(flow *netlink.ConntrackFlow) bool {
	info, ok := flow.ProtoInfo.(*netlink.ProtoInfoTCP)
	return ok && info.State >= tcpTimeWait
}

// forgetFlows makes the kernel forget the connections of a task that is gone.
// A caller who happens to use the same port of his own again would be led to
// it, and get no answer.
func forgetFlows(task netip.Addr) error {
	_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, flowsOf(task))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("forget the connections of %s: %w", task, err)
	}
	return nil
}

// flowsOf matches the flows that an address began or answered.
type flowsOf netip.Addr

// MatchConntrackFlow is for netlink.
func (f flowsOf) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	began, _ := netip.AddrFromSlice(flow.Forward.SrcIP)
	answered, _ := netip.AddrFromSlice(flow.Reverse.SrcIP)
	return began.Unmap() == netip.Addr(f) || answered.Unmap() == netip.Addr(f)
}
