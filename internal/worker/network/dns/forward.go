package dns

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	// patience is for all of the resolvers together; whoever asks gives up
	// after about five seconds.
	patience = 4500 * time.Millisecond
	// tryTimeout is for one of them; then the next is asked too.
	tryTimeout = 1500 * time.Millisecond
)

// forwarder asks the host's resolvers.
type forwarder struct {
	// upstreams are those of the moment, the first to be preferred.
	upstreams func() []netip.AddrPort
	gate      *gate
	// preferred is which one answered last; it is asked first.
	preferred atomic.Uint32
}

// ask returns the answer of the first resolver that has one.
func (f *forwarder) ask(ctx context.Context, q question) *dns.Msg {
	if !f.gate.enter(q.from) {
		return failed(q, dns.RcodeServerFailure)
	}
	defer f.gate.leave(q.from)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	servers := f.upstreams()
	first := f.preferred.Load()
	var second *dns.Msg
	// Twice: a datagram may be lost on its way.
	for i := range 2 * len(servers) {
		at := (int(first) + i) % len(servers)
		m, err := exchange(ctx, q, servers[at])
		if ctx.Err() != nil {
			break
		}
		if err == nil && m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeRefused {
			f.preferred.CompareAndSwap(first, uint32(at))
			return m
		}
		if err == nil {
			second = m
		}
	}
	if second != nil {
		return second
	}
	return failed(q, dns.RcodeServerFailure)
}

// exchange asks one resolver, by the way that we were asked. The question has
// an ID of its own there, which nobody in a container knows.
func exchange(ctx context.Context, q question, server netip.AddrPort) (*dns.Msg, error) {
	ask := q.Copy()
	ask.Id = dns.Id()
	client := &dns.Client{Net: "udp", Timeout: tryTimeout}
	if q.tcp {
		client.Net = "tcp"
	}
	m, _, err := client.ExchangeContext(ctx, ask, server.String())
	if err != nil {
		return nil, err
	}
	if len(m.Question) != 1 || !sameQuestion(m.Question[0], q.Question[0]) {
		return nil, dns.ErrId
	}
	m.Id = q.Id
	m.Compress = true
	return m, nil
}

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

// gate bounds the questions that wait for others' answers, so that one task
// cannot take what all need.
type gate struct {
	slots, each int
	mu          sync.Mutex
	waiting     map[netip.Addr]int
	total       int
}

func newGate(slots, each int) *gate {
	return &gate{slots: slots, each: each, waiting: map[netip.Addr]int{}}
}

func (g *gate) enter(from netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.slots || g.waiting[from] >= g.each {
		return false
	}
	g.total++
	g.waiting[from]++
	return true
}

func (g *gate) leave(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.waiting[from]--; g.waiting[from] == 0 {
		delete(g.waiting, from)
	}
}

// addressOf returns the IP address of whoever asks.
func addressOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
