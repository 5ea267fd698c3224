package network

import (
	"cmp"
	"net/netip"
	"slices"
)

// Protocols of a Port.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Port is a port of the node that leads to one of a task.
type Port struct {
	// HostAddress is unset for all addresses of the node.
	HostAddress netip.Addr
	HostPort    uint16
	Port        uint16
	Protocol    string
}

// Member is what a task is to others: under which names and ports it is
// reached, and whether it is at the moment.
type Member struct {
	TaskID string
	// Task is its name: <service>-task-<slot>.
	Task, Namespace    string
	ServiceID, Service string
	Slot               uint32
	// Address is on the node's bridge; unset for a task that is not there.
	Address netip.Addr
	Ports   []Port
	// Ready: it runs, is healthy, and is not about to be stopped.
	Ready bool
}

// Forward leads what comes to a port of the node to those of tasks, in turn.
type Forward struct {
	HostAddress netip.Addr
	HostPort    uint16
	Protocol    string
	// To is never empty.
	To []netip.AddrPort
}

// Forwards plans where the node's published ports lead: to the ready members
// of one service each. The order of members does not matter.
func Forwards(members []Member) []Forward {
	byPort := map[Port]map[string][]netip.AddrPort{}
	for _, m := range members {
		if !m.Ready || !m.Address.IsValid() {
			continue
		}
		for _, p := range m.Ports {
			host := Port{HostAddress: p.HostAddress, HostPort: p.HostPort, Protocol: p.Protocol}
			if byPort[host] == nil {
				byPort[host] = map[string][]netip.AddrPort{}
			}
			byPort[host][m.ServiceID] = append(byPort[host][m.ServiceID], netip.AddrPortFrom(m.Address, p.Port))
		}
	}
	var all []Forward
	for host, services := range byPort {
		// More than one only while a port passes from one to another.
		first := slices.Min(keys(services))
		to := services[first]
		slices.SortFunc(to, netip.AddrPort.Compare)
		all = append(all, Forward{
			HostAddress: host.HostAddress, HostPort: host.HostPort, Protocol: host.Protocol, To: slices.Compact(to),
		})
	}
	slices.SortFunc(all, compareForwards)
	return all
}

// compareForwards puts one address of the node before all of them, since of
// two rules the first that fits holds.
func compareForwards(a, b Forward) int {
	return cmp.Or(
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.HostPort, b.HostPort),
		b.HostAddress.Compare(a.HostAddress),
	)
}

func keys[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	return all
}

// SameForwards reports whether two plans are the same.
func SameForwards(a, b []Forward) bool {
	return slices.EqualFunc(a, b, func(x, y Forward) bool {
		return compareForwards(x, y) == 0 && slices.Equal(x.To, y.To)
	})
}
