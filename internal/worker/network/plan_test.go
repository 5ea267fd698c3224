package network

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBridgeNameFitsTheKernelAndTellsNodesApart(t *testing.T) {
	if got := BridgeName("/run/warren/"); got != DefaultBridge {
		t.Errorf("the default run directory gives %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		x, y := BridgeName("/run/"+a), BridgeName("/run/"+b)
		if len(x) > 15 || len(y) > 15 {
			t.Fatalf("%q or %q is too long for a link's name", x, y)
		}
		p, q := Plan{Bridge: x}, Plan{Bridge: y}
		if x != y && p.HostLink("task") == q.HostLink("task") {
			t.Fatalf("tasks of two nodes share the cable %q", p.HostLink("task"))
		}
		if link := p.HostLink(a); len(link) > 15 || !IsHostLink(link) {
			t.Fatalf("cable %q", link)
		}
	})
}

func TestChosenSubnetOverlapsNothing(t *testing.T) {
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
		if rapid.Bool().Draw(t, "near") {
			c := rapid.SampledFrom(candidates()).Draw(t, "candidate")
			a = c.Addr()
		}
		return netip.PrefixFrom(a, rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
	})
	rapid.Check(t, func(t *rapid.T) {
		taken := rapid.SliceOfN(prefix, 0, 40).Draw(t, "taken")
		got, err := ChooseSubnet(taken)
		if err != nil {
			for _, c := range candidates() {
				if _, overlaps := Overlap(c, taken); !overlaps {
					t.Fatalf("%s was free: %v", c, err)
				}
			}
			return
		}
		for _, p := range taken {
			if p.Bits() > 0 && p.Overlaps(got) {
				t.Fatalf("%s overlaps %s", got, p)
			}
		}
		if _, err := NewPlan("br", got); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNewPlanRefuses(t *testing.T) {
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("fd00::/64"), netip.MustParsePrefix("10.0.0.0/30")} {
		if _, err := NewPlan("br", p); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v; want ErrInvalid", p, err)
		}
	}
	p, err := NewPlan("br", netip.MustParsePrefix("10.1.2.3/24"))
	if err != nil || p.Subnet.String() != "10.1.2.0/24" || p.Gateway.String() != "10.1.2.1" {
		t.Errorf("%+v, %v", p, err)
	}
}

// The pool against a model: no address twice, none that is not the plan's to
// give, the same one as long as a task keeps it, and all of them used before
// it gives up.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(27, 29).Draw(t, "bits")
		plan, err := NewPlan("br", netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), bits))
		if err != nil {
			t.Fatal(err)
		}
		room := 1<<(32-bits) - 3
		pool, model := NewPool(plan), map[string]netip.Addr{}
		taskID := rapid.StringMatching(`task-[0-9]{1,2}`)
		used := func(a netip.Addr) string {
			for id, b := range model {
				if a == b {
					return id
				}
			}
			return ""
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				id := taskID.Draw(t, "id")
				a, err := pool.Take(id)
				if err != nil {
					if _, has := model[id]; has || len(model) < room || !errors.Is(err, ErrExhausted) {
						t.Fatalf("%d of %d used: %v", len(model), room, err)
					}
					return
				}
				if owner := used(a); owner != "" && owner != id {
					t.Fatalf("%s is %s's, and given to %s", a, owner, id)
				}
				if had, ok := model[id]; ok && had != a {
					t.Fatalf("%s had %s, got %s", id, had, a)
				}
				if !plan.Subnet.Contains(a) || a == plan.Gateway || a == plan.Subnet.Addr() || !plan.Subnet.Contains(a.Next()) {
					t.Fatalf("%s is not to be given", a)
				}
				model[id] = a
			},
			"release": func(t *rapid.T) {
				id := taskID.Draw(t, "id")
				pool.Release(id)
				delete(model, id)
			},
			"claim": func(t *rapid.T) {
				id := taskID.Draw(t, "id")
				a := plan.Subnet.Addr()
				for range rapid.IntRange(0, 40).Draw(t, "offset") {
					a = a.Next()
				}
				owner := used(a)
				if pool.Claim(id, a) {
					if owner != "" && owner != id {
						t.Fatalf("%s took %s from %s", id, a, owner)
					}
					model[id] = a
				}
			},
		})
	})
}

func TestFreedAddressIsTheLastToBeUsedAgain(t *testing.T) {
	plan, _ := NewPlan("br", netip.MustParsePrefix("10.0.0.0/24"))
	p := NewPool(plan)
	first, _ := p.Take("one")
	p.Release("one")
	if second, _ := p.Take("two"); second == first {
		t.Errorf("%s was given away at once", first)
	}
}

func TestResolvConf(t *testing.T) {
	for _, c := range []struct{ name, host, resolved, want string }{
		{"as it is", "search lan\nnameserver 10.0.0.1\noptions ndots:2\n", "", "nameserver 10.0.0.1\nsearch lan\noptions ndots:2\n"},
		{"loopback left out", "nameserver 127.0.0.1\nnameserver 10.0.0.1\n", "", "nameserver 10.0.0.1\n"},
		{"behind a stub", "nameserver 127.0.0.53\n", "nameserver 10.0.0.2\n", "nameserver 10.0.0.2\n"},
		{"only loopback", "search lan\nnameserver ::1\n", "", "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch lan\n"},
		{"no IPv6 on the bridge", "nameserver fd00::1\nnameserver fe80::1%eth0\nnameserver 10.0.0.1", "", "nameserver 10.0.0.1\n"},
		{"nothing", "", "", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
	} {
		if got := string(ResolvConf([]byte(c.host), []byte(c.resolved))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNamesConf(t *testing.T) {
	for _, c := range []struct{ name, host, want string }{
		{"host's domains behind ours", "search lan corp\nnameserver 127.0.0.53\noptions ndots:2\n",
			"nameserver 10.0.0.1\nsearch data.warren.internal lan corp\noptions ndots:2\n"},
		{"the last of several", "domain lan\nsearch corp\n", "nameserver 10.0.0.1\nsearch data.warren.internal corp\n"},
		{"nothing", "", "nameserver 10.0.0.1\nsearch data.warren.internal\n"},
	} {
		if got := string(NamesConf(netip.MustParseAddr("10.0.0.1"), "data.warren.internal", []byte(c.host))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("search lan\nnameserver 10.0.0.1\n# comment\noptions ndots:2\n"))
	f.Add([]byte("nameserver\nnameserver x\nnameserver ::ffff:127.0.0.1\n\x00"))
	f.Fuzz(func(t *testing.T, conf []byte) {
		got := ResolvConf(conf)
		servers := Resolvers(got)
		if len(servers) == 0 {
			t.Fatalf("no resolver left in %q", got)
		}
		for _, a := range servers {
			if !a.Is4() || a.IsLoopback() {
				t.Fatalf("%s cannot be reached from a container", a)
			}
		}
		if again := ResolvConf(got); !bytes.Equal(again, got) {
			t.Fatalf("%q becomes %q", got, again)
		}
	})
}

func TestHostsFile(t *testing.T) {
	if got := string(HostsFile("web-1", netip.MustParseAddr("10.0.0.2"))); !strings.HasSuffix(got, "10.0.0.2\tweb-1\n") {
		t.Error(got)
	}
	if got := string(HostsFile("web-1", netip.Addr{})); !strings.HasSuffix(got, "127.0.1.1\tweb-1\n") {
		t.Error(got)
	}
}
