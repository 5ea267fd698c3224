package dns

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/cuemby/warren/internal/worker/network"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func member(namespace, service string, slot uint32, address string, ready bool) network.Member {
	m := network.Member{
		Task: service + "-task-" + string('0'+rune(slot)), Namespace: namespace, Service: service, Slot: slot, Ready: ready,
	}
	if address != "" {
		m.Address = addr(address)
	}
	return m
}

var town = []network.Member{
	member("default", "postgres", 1, "10.0.0.2", true),
	member("default", "postgres", 2, "10.0.0.3", true),
	member("default", "postgres", 3, "10.0.0.4", false),
	member("default", "web", 1, "", false),
	member("default", "web-1", 1, "10.0.0.5", true),
	member("data", "postgres", 1, "10.0.0.6", true),
	member("data", "only-here", 1, "10.0.0.7", true),
}

func TestLookup(t *testing.T) {
	d := NewDirectory(town)
	for _, c := range []struct {
		name, from string
		want       result
		addresses  []string
	}{
		{"postgres.", "10.0.0.2", known, []string{"10.0.0.2", "10.0.0.3"}},
		{"postgres.", "10.0.0.7", known, []string{"10.0.0.6"}},
		{"postgres.", "10.0.0.99", known, []string{"10.0.0.2", "10.0.0.3"}},
		{"postgres.data.", "10.0.0.2", known, []string{"10.0.0.6"}},
		{"postgres.data.warren.internal.", "10.0.0.2", known, []string{"10.0.0.6"}},
		{"postgres-2.", "10.0.0.2", known, []string{"10.0.0.3"}},
		{"postgres-task-2.", "10.0.0.2", known, []string{"10.0.0.3"}},
		{"postgres-task-1.data.", "10.0.0.2", known, []string{"10.0.0.6"}},
		{"postgres-3.", "10.0.0.2", known, nil},                 // not ready
		{"web.", "10.0.0.2", known, nil},                        // not placed
		{"web-1.", "10.0.0.2", known, []string{"10.0.0.5"}},     // a service before a slot
		{"warren.internal.", "10.0.0.2", known, nil},            // the zone itself
		{"default.warren.internal.", "10.0.0.2", known, nil},    // a namespace
		{"nobody.default.warren.internal.", "", missing, nil},   // ours, and not there
		{"postgres.nowhere.warren.internal.", "", missing, nil}, //
		{"a.postgres.data.warren.internal.", "", missing, nil},  //
		{"nowhere.warren.internal.", "", missing, nil},          //
		{"only-here.", "10.0.0.2", elsewhere, nil},              // of another namespace
		{"example.com.", "10.0.0.2", elsewhere, nil},
		{"postgres.default.example.com.", "10.0.0.2", elsewhere, nil},
		{"notwarren.internal.", "10.0.0.2", elsewhere, nil},
		{".", "10.0.0.2", elsewhere, nil},
	} {
		from, _ := netip.ParseAddr(c.from)
		addresses, got := d.lookup(c.name, from)
		var texts []string
		for _, a := range addresses {
			texts = append(texts, a.String())
		}
		if got != c.want || !slices.Equal(texts, c.addresses) {
			t.Errorf("%s from %s: %v, %v; want %v, %v", c.name, c.from, texts, got, c.addresses, c.want)
		}
	}
}
