package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// plug makes the task's cable as planned, or completes it.
func (b *base) plug(ns *netNS, t network.TaskPlan, gateway netip.Addr) error {
	inside, err := ns.link.LinkByName(network.TaskLink)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		inside, err = b.cable(ns, t)
	}
	if err != nil {
		return fmt.Errorf("cable %s: %w", t.HostLink, err)
	}
	if err := configure(ns, inside, t, gateway); err != nil {
		return err
	}
	if err := b.connect(t.HostLink); err != nil {
		return err
	}
	return b.settle(ns, inside, t.HostLink)
}

// settle asks for the links whose carrier has just come. The kernel takes note
// of that later, up to a second, and until then drops what they send, the
// answer to the first ARP request for example; being asked for a link, it
// does so at once (since Linux 6.8).
func (b *base) settle(ns *netNS, inside netlink.Link, hostLink string) error {
	_, errInside := ns.link.LinkByIndex(inside.Attrs().Index)
	_, errOutside := netlink.LinkByName(hostLink)
	_, errBridge := netlink.LinkByIndex(b.index)
	return errors.Join(errInside, errOutside, errBridge)
}

// connect plugs the host's end of a cable into the bridge.
func (b *base) connect(hostLink string) error {
	link, err := netlink.LinkByName(hostLink)
	if err != nil {
		return fmt.Errorf("the host's end of the cable, %s: %w", hostLink, err)
	}
	if link.Attrs().MasterIndex != b.index {
		if err := netlink.LinkSetMasterByIndex(link, b.index); err != nil {
			return fmt.Errorf("plug %s into %s: %w", hostLink, b.plan.Bridge, err)
		}
	}
	// Where bridges filter packets, what a task sends to a port that leads to
	// itself goes back the way it came.
	if err := netlink.LinkSetHairpin(link, true); err != nil {
		return fmt.Errorf("let the task on %s reach itself: %w", hostLink, err)
	}
	return netlink.LinkSetUp(link)
}

// cable makes a veth pair with one end in the namespace, and returns that end.
func (b *base) cable(ns *netNS, t network.TaskPlan) (netlink.Link, error) {
	// One whose namespace is another, of the same task before a crash.
	if err := removeLink(t.HostLink); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = t.HostLink
	attrs.MTU = b.mtu
	attrs.MasterIndex = b.index
	veth := netlink.NewVeth(attrs)
	veth.PeerName = network.TaskLink
	veth.PeerMTU = uint32(b.mtu)
	veth.PeerHardwareAddr = t.MAC
	veth.PeerNamespace = netlink.NsFd(int(ns.ns))
	if err := netlink.LinkAdd(veth); err != nil {
		return nil, err
	}
	return ns.link.LinkByName(network.TaskLink)
}

// configure gives the task's end its address and the way out.
func configure(ns *netNS, link netlink.Link, t network.TaskPlan, gateway netip.Addr) error {
	if err := readdress(ns, link, t.Address); err != nil {
		return fmt.Errorf("give the task address %s: %w", t.Address, err)
	}
	if err := ns.link.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring the task's end of its cable up: %w", err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IP(gateway.AsSlice())}
	if err := ns.link.RouteReplace(route); err != nil {
		return fmt.Errorf("route the task through %s: %w", gateway, err)
	}
	return nil
}

// readdress leaves the link with that address alone: the bridge may have moved
// to another subnet.
func readdress(ns *netNS, link netlink.Link, want netip.Prefix) error {
	has, err := ns.link.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, a := range has {
		if p, ok := prefixOf(a.IPNet); ok && p == want {
			continue
		}
		if err := ns.link.AddrDel(link, &a); err != nil {
			return err
		}
	}
	return ns.link.AddrReplace(link, &netlink.Addr{IPNet: ipNet(want)})
}

// removeLink removes a link of the host; gone is no error.
func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil
	}
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// ports lists the links that are plugged into a bridge.
func ports(bridge netlink.Link) ([]netlink.Link, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var in []netlink.Link
	for _, l := range all {
		if l.Attrs().MasterIndex == bridge.Attrs().Index {
			in = append(in, l)
		}
	}
	return in, nil
}

// removePorts removes the cables on the bridge that are not to be kept, and
// reports whether there is a bridge at all.
func removePorts(bridge string, keep map[string]bool) (found bool, err error) {
	link, err := findBridge(bridge)
	if link == nil {
		return false, err
	}
	all, err := ports(link)
	if err != nil {
		return true, err
	}
	var failed []error
	for _, l := range all {
		// Somebody may have plugged in something else than a task.
		if name := l.Attrs().Name; l.Type() == "veth" && network.IsHostLink(name) && !keep[name] {
			failed = append(failed, removeLink(name))
		}
	}
	return true, errors.Join(failed...)
}
