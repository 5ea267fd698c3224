package network

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawMembers(t *rapid.T) []Member {
	var members []Member
	for i := range rapid.IntRange(0, 12).Draw(t, "members") {
		m := Member{
			TaskID:    fmt.Sprint("task-", i),
			ServiceID: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "service"),
			Ready:     rapid.Bool().Draw(t, "ready"),
		}
		if rapid.IntRange(0, 9).Draw(t, "placed") > 0 {
			m.Address = netip.AddrFrom4([4]byte{10, 0, 0, byte(2 + i)})
		}
		for range rapid.IntRange(0, 3).Draw(t, "ports") {
			p := Port{
				HostPort: uint16(rapid.IntRange(80, 83).Draw(t, "host port")),
				Port:     uint16(rapid.IntRange(1, 3).Draw(t, "port")),
				Protocol: rapid.SampledFrom([]string{TCP, UDP}).Draw(t, "protocol"),
			}
			if rapid.Bool().Draw(t, "one address") {
				p.HostAddress = netip.MustParseAddr("127.0.0.1")
			}
			m.Ports = append(m.Ports, p)
		}
		members = append(members, m)
	}
	return members
}

// Every forward leads to ready tasks of one service that publish that port, to
// all of them, and each once; every port that a ready task publishes leads
// somewhere; and the order of the members does not matter.
func TestForwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t)
		plan := Forwards(members)
		if again := Forwards(rapid.Permutation(members).Draw(t, "order")); !SameForwards(plan, again) {
			t.Fatalf("in another order: %v, was %v", again, plan)
		}
		for i, f := range plan {
			if len(f.To) == 0 || i > 0 && compareForwards(plan[i-1], f) >= 0 {
				t.Fatalf("%v", plan)
			}
			services := map[string][]netip.AddrPort{}
			for _, m := range members {
				services[m.ServiceID] = append(services[m.ServiceID], published(m, f)...)
			}
			if !slices.ContainsFunc(mapValues(services), func(all []netip.AddrPort) bool { return sameSet(all, f.To) }) {
				t.Fatalf("%v leads to none of %v", f, services)
			}
		}
		for _, m := range members {
			for _, p := range m.Ports {
				leads := slices.ContainsFunc(plan, func(f Forward) bool {
					return f.HostAddress == p.HostAddress && f.HostPort == p.HostPort && f.Protocol == p.Protocol
				})
				if m.Ready && m.Address.IsValid() && !leads {
					t.Fatalf("%v of %s leads nowhere", p, m.TaskID)
				}
			}
		}
	})
}

func published(m Member, f Forward) (to []netip.AddrPort) {
	for _, p := range m.Ports {
		if m.Ready && m.Address.IsValid() && p.HostAddress == f.HostAddress && p.HostPort == f.HostPort && p.Protocol == f.Protocol {
			to = append(to, netip.AddrPortFrom(m.Address, p.Port))
		}
	}
	return to
}

func mapValues(m map[string][]netip.AddrPort) (all [][]netip.AddrPort) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func sameSet(a, b []netip.AddrPort) bool {
	a = slices.Clone(a)
	slices.SortFunc(a, netip.AddrPort.Compare)
	return slices.Equal(slices.Compact(a), b)
}
