package dns

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/network"
)

// zone is where all names of the cluster are, with the dot at its end. The
// domain above it is reserved for networks of one's own.
const zone = "warren.internal."

// Domain is the search domain of a namespace's tasks.
func Domain(namespace string) string {
	return spec.Namespace(namespace) + "." + strings.TrimSuffix(zone, ".")
}

// name is one that is looked for: label in namespace.
type name struct{ label, namespace string }

// Directory has the names of a node's tasks at one moment. It is never changed.
type Directory struct {
	services map[name][]netip.Addr
	// slots are the names of single tasks; a service of that name comes first.
	slots      map[name][]netip.Addr
	namespaces map[string]bool
	byAddress  map[netip.Addr]network.Member
}

// NewDirectory makes a directory of the members.
func NewDirectory(members []network.Member) *Directory {
	d := &Directory{
		services: map[name][]netip.Addr{}, slots: map[name][]netip.Addr{},
		namespaces: map[string]bool{}, byAddress: map[netip.Addr]network.Member{},
	}
	for _, m := range members {
		d.namespaces[m.Namespace] = true
		d.put(d.services, m, m.Service)
		d.put(d.slots, m, m.Task)
		d.put(d.slots, m, m.Service+"-"+strconv.FormatUint(uint64(m.Slot), 10))
		if m.Address.IsValid() {
			d.byAddress[m.Address] = m
		}
	}
	return d
}

func (d *Directory) put(names map[name][]netip.Addr, m network.Member, label string) {
	key := name{label, m.Namespace}
	addresses := names[key]
	if m.Ready && m.Address.IsValid() {
		addresses = append(addresses, m.Address)
	}
	names[key] = addresses // also without one: the name is known
}

// result is what a directory says of a name.
type result int

const (
	// elsewhere: the name is not the cluster's.
	elsewhere result = iota
	// missing: the name is in the cluster's zone, and does not exist.
	missing
	known
)

// lookup looks for a whole name, in small letters and with a dot at its end, as
// the one at that address means it.
func (d *Directory) lookup(whole string, from netip.Addr) ([]netip.Addr, result) {
	if whole == zone {
		return nil, known
	}
	rest, own := strings.CutSuffix(whole, "."+zone)
	labels := strings.Split(strings.TrimSuffix(rest, "."), ".")
	switch {
	case own && len(labels) == 1 && d.namespaces[labels[0]]:
		return nil, known
	case own && len(labels) == 2, !own && len(labels) == 2:
		if addresses, ok := d.find(name{labels[0], labels[1]}); ok {
			return addresses, known
		}
	case !own && len(labels) == 1:
		if addresses, ok := d.find(name{labels[0], d.namespaceOf(from)}); ok {
			return addresses, known
		}
	}
	if own {
		return nil, missing
	}
	return nil, elsewhere
}

func (d *Directory) find(n name) ([]netip.Addr, bool) {
	addresses, ok := d.services[n]
	if !ok {
		addresses, ok = d.slots[n]
	}
	return addresses, ok
}

func (d *Directory) namespaceOf(from netip.Addr) string {
	if m, ok := d.byAddress[from]; ok {
		return m.Namespace
	}
	return spec.DefaultNamespace
}

// owner returns the whole name of the task at an address.
func (d *Directory) owner(a netip.Addr) (string, bool) {
	m, ok := d.byAddress[a]
	return m.Task + "." + m.Namespace + "." + zone, ok
}

// reversed reads an address out of d.c.b.a.in-addr.arpa.
func reversed(whole string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(whole, ".in-addr.arpa.")
	labels := strings.Split(digits, ".")
	if !ok || len(labels) != 4 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(labels[3] + "." + labels[2] + "." + labels[1] + "." + labels[0])
	return a, err == nil && a.Is4()
}
