package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/vishvananda/netlink"
)

// base is what all tasks of the node share: the bridge, its subnet, the rules.
type base struct {
	plan network.Plan
	pool *network.Pool
	// Of the bridge.
	index int
	mtu   int
	// rules are those that were applied last; nil when that failed.
	rules *rules
}

// newBase makes the bridge, or finds it. Its rules are still to be applied.
func newBase(name string, o Options) (*base, error) {
	link, err := findBridge(name)
	if err != nil {
		return nil, err
	}
	var plan network.Plan
	if link != nil {
		plan, err = planOf(link, o)
	}
	if err == nil && plan.Bridge == "" {
		plan, err = choosePlan(name, o)
	}
	if err != nil {
		return nil, err
	}
	b := &base{plan: plan, pool: network.NewPool(plan), mtu: outsideMTU()}
	if err := b.raise(link); err != nil {
		return nil, fmt.Errorf("bridge %s: %w", name, err)
	}
	if err := forward(); err != nil {
		return nil, err
	}
	if table := stranger(plan); table != "" {
		o.Log.Warn("another program's rules may keep tasks from reaching beyond this machine; let its firewall forward what comes from the bridge",
			"bridge", name, "table", table)
	}
	return b, nil
}

// findBridge returns nil when there is none.
func findBridge(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for bridge %s: %w", name, err)
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("%w: %s is the name of a %s of this machine, and was to be Warren's bridge; remove it, or start Warren with another --run-dir", network.ErrInvalid, name, link.Type())
	}
	return link, nil
}

// planOf returns the plan that a bridge was made by; none when it has no
// address, or another than was asked for and no task on it.
func planOf(link netlink.Link, o Options) (network.Plan, error) {
	addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(addresses) == 0 {
		return network.Plan{}, err
	}
	subnet, ok := prefixOf(addresses[0].IPNet)
	if !ok {
		return network.Plan{}, nil
	}
	if o.Subnet.IsValid() && subnet.Masked() != o.Subnet.Masked() {
		tasks, err := ports(link)
		if err != nil {
			return network.Plan{}, err
		}
		if len(tasks) == 0 {
			return network.Plan{}, netlink.AddrDel(link, &addresses[0])
		}
		o.Log.Warn("the bridge keeps its subnet while tasks are on it", "bridge", link.Attrs().Name, "subnet", subnet.Masked(), "wanted", o.Subnet)
	}
	return network.NewPlan(link.Attrs().Name, subnet)
}

func choosePlan(name string, o Options) (network.Plan, error) {
	taken, err := takenSubnets(name)
	if err != nil {
		return network.Plan{}, err
	}
	subnet := o.Subnet
	if !subnet.IsValid() {
		if subnet, err = network.ChooseSubnet(taken); err != nil {
			return network.Plan{}, err
		}
	} else if other, overlaps := network.Overlap(subnet, taken); overlaps {
		return network.Plan{}, fmt.Errorf("%w: subnet %s overlaps %s, which this machine uses; choose another", network.ErrInvalid, subnet, other)
	}
	return network.NewPlan(name, subnet)
}

// takenSubnets lists what the machine reaches by itself: its routes, but the
// default ones and the bridge's own, and its resolvers.
func takenSubnets(bridge string) ([]netip.Prefix, error) {
	own := -1
	if link, err := netlink.LinkByName(bridge); err == nil {
		own = link.Attrs().Index
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if p, ok := prefixOf(r.Dst); ok && r.LinkIndex != own {
			taken = append(taken, p)
		}
	}
	// Best effort: without the file there are no resolvers to keep clear of.
	conf, _ := os.ReadFile(resolvConf)
	for _, a := range network.Resolvers(conf) {
		if a.Is4() {
			taken = append(taken, netip.PrefixFrom(a, 32))
		}
	}
	return taken, nil
}

// raise makes the bridge where there is none, and gives it its address.
func (b *base) raise(link netlink.Link) error {
	if link == nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = b.plan.Bridge
		attrs.MTU = b.mtu
		// One of its own, or it would change with the tasks that come and go,
		// under the neighbours' feet.
		attrs.HardwareAddr = network.MAC(b.plan.Gateway)
		link = &netlink.Bridge{LinkAttrs: attrs}
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("make it: %w", err)
		}
	}
	b.index = link.Attrs().Index
	address := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(b.plan.Gateway, b.plan.Subnet.Bits()))}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("give it address %s: %w", address, err)
	}
	return netlink.LinkSetUp(link)
}

// stands reports whether the bridge is still the one that was made, and its
// rules are there: other programs flush everybody's.
func (b *base) stands() bool {
	link, err := netlink.LinkByIndex(b.index)
	return err == nil && link.Attrs().Name == b.plan.Bridge && link.Attrs().Flags&net.FlagUp != 0 && hasRules(b.plan.Bridge)
}

// outsideMTU is the default route's, so that tasks do not send what is then
// too big for the way out; 0, the kernel's default, without such a route.
func outsideMTU() int {
	routes, err := netlink.RouteGet(net.IPv4(1, 1, 1, 1))
	if err != nil || len(routes) == 0 {
		return 0
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil || link.Attrs().Flags&net.FlagLoopback != 0 {
		return 0
	}
	return link.Attrs().MTU
}

const ipForward = "/proc/sys/net/ipv4/ip_forward"

// forward lets the machine pass packets on, which tasks need to reach anything
// beyond it.
func forward() error {
	now, err := os.ReadFile(ipForward)
	if err == nil && strings.TrimSpace(string(now)) == "1" {
		return nil
	}
	if err := os.WriteFile(ipForward, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("let the machine forward packets: %w; try: sysctl -w net.ipv4.ip_forward=1", err)
	}
	return nil
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits), ok && bits > 0
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// resolvConf is the host's; resolvedConf has systemd-resolved's own servers
// where the host's names only its stub on loopback.
var (
	resolvConf   = "/etc/resolv.conf"
	resolvedConf = filepath.Join("/run/systemd/resolve", "resolv.conf")
)
