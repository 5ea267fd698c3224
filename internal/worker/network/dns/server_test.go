package dns

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cuemby/warren/internal/worker/network"
)

var here = netip.MustParsePrefix("127.0.0.0/8")

// start answers on loopback for the town, and asks upstreams for the rest.
func start(t *testing.T, upstreams ...netip.AddrPort) (*Server, string) {
	t.Helper()
	s := New(func() []netip.AddrPort { return upstreams }, slog.New(slog.DiscardHandler))
	s.Set(town)
	port, err := s.Listen(addr("127.0.0.1"), here)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, netip.AddrPortFrom(addr("127.0.0.1"), port).String()
}

// upstream is a resolver of the host; it counts what it is asked.
func upstream(t *testing.T, handle dns.HandlerFunc) (netip.AddrPort, *asked) {
	t.Helper()
	a := &asked{}
	counting := dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		a.add(m.Question[0].Name)
		handle(w, m)
	})
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	tcp, err := net.Listen("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: counting}, {Listener: tcp, Handler: counting}} {
		begun := make(chan struct{})
		s.NotifyStartedFunc = func() { close(begun) }
		go func() { _ = s.ActivateAndServe() }()
		<-begun
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return at, a
}

type asked struct {
	mu    sync.Mutex
	names []string
}

func (a *asked) add(name string) { a.mu.Lock(); a.names = append(a.names, name); a.mu.Unlock() }
func (a *asked) all() []string   { a.mu.Lock(); defer a.mu.Unlock(); return slices.Clone(a.names) }

// says answers every question for an A record with one address.
func says(a string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetReply(m)
		r.Answer = []dns.RR{&dns.A{Hdr: header(m.Question[0], dns.TypeA), A: addr(a).AsSlice()}}
		_ = w.WriteMsg(r)
	}
}

func fails(w dns.ResponseWriter, m *dns.Msg) {
	_ = w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeServerFailure))
}

func query(t *testing.T, protocol, server, name string, kind uint16) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: protocol, Timeout: 10 * time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, kind), server)
	if err != nil {
		t.Fatalf("%s %s: %v", protocol, name, err)
	}
	return m
}

func addresses(m *dns.Msg) (all []string) {
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			all = append(all, a.A.String())
		}
	}
	slices.Sort(all)
	return all
}

func TestAnswersOfOurOwn(t *testing.T) {
	other, count := upstream(t, says("192.0.2.1"))
	_, at := start(t, other)
	for _, protocol := range []string{"udp", "tcp"} {
		m := query(t, protocol, at, "Postgres.", dns.TypeA)
		if got := addresses(m); m.Rcode != 0 || !m.Authoritative || !m.RecursionAvailable || !slices.Equal(got, []string{"10.0.0.2", "10.0.0.3"}) {
			t.Errorf("%s: %v", protocol, m)
		}
		if ttl := m.Answer[0].Header().Ttl; ttl > 5 {
			t.Errorf("to be remembered for %d s", ttl)
		}
		if m := query(t, protocol, at, "postgres.", dns.TypeAAAA); m.Rcode != 0 || len(m.Answer) != 0 {
			t.Errorf("AAAA: %v", m)
		}
		if m := query(t, protocol, at, "nobody.default.warren.internal.", dns.TypeA); m.Rcode != dns.RcodeNameError {
			t.Errorf("unknown in our zone: %v", m)
		}
	}
	if all := count.all(); len(all) != 0 {
		t.Errorf("another resolver was asked for %v", all)
	}
}

func TestAddressesLeadBackToTasks(t *testing.T) {
	other, count := upstream(t, says("192.0.2.1"))
	s, at := start(t, other)
	everywhere := netip.MustParsePrefix("0.0.0.0/0")
	s.asking.Store(&everywhere)
	m := query(t, "udp", at, "3.0.0.10.in-addr.arpa.", dns.TypePTR)
	if len(m.Answer) != 1 || m.Answer[0].(*dns.PTR).Ptr != "postgres-task-2.default.warren.internal." {
		t.Errorf("%v", m)
	}
	if m := query(t, "udp", at, "99.0.0.10.in-addr.arpa.", dns.TypePTR); m.Rcode != dns.RcodeNameError {
		t.Errorf("an address of ours that nobody has: %v", m)
	}
	s.asking.Store(&here)
	_ = query(t, "udp", at, "3.0.0.10.in-addr.arpa.", dns.TypePTR)
	if all := count.all(); !slices.Equal(all, []string{"3.0.0.10.in-addr.arpa."}) {
		t.Errorf("asked elsewhere: %v", all)
	}
}

func TestNamesFollowTheTasks(t *testing.T) {
	s, at := start(t)
	s.Set([]network.Member{member("default", "postgres", 2, "10.0.0.3", true)})
	if got := addresses(query(t, "udp", at, "postgres.", dns.TypeA)); !slices.Equal(got, []string{"10.0.0.3"}) {
		t.Error(got)
	}
	s.Set([]network.Member{member("default", "postgres", 2, "10.0.0.3", false)})
	if m := query(t, "udp", at, "postgres.", dns.TypeA); m.Rcode != 0 || len(m.Answer) != 0 {
		t.Errorf("a service that is not ready: %v", m)
	}
}

func TestOtherNamesAreAskedElsewhere(t *testing.T) {
	other, _ := upstream(t, says("192.0.2.1"))
	_, at := start(t, other)
	for _, protocol := range []string{"udp", "tcp"} {
		if got := addresses(query(t, protocol, at, "example.com.", dns.TypeA)); !slices.Equal(got, []string{"192.0.2.1"}) {
			t.Errorf("%s: %v", protocol, got)
		}
	}
}

func TestTheNextResolverIsAsked(t *testing.T) {
	broken, count := upstream(t, fails)
	other, _ := upstream(t, says("192.0.2.1"))
	_, at := start(t, broken, other)
	for range 3 {
		if got := addresses(query(t, "udp", at, "example.com.", dns.TypeA)); !slices.Equal(got, []string{"192.0.2.1"}) {
			t.Errorf("%v", got)
		}
	}
	if n := len(count.all()); n != 1 {
		t.Errorf("the one that fails was asked %d times, after another one had answered", n)
	}
}

func TestWithoutAnybodyToAsk(t *testing.T) {
	gone, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	gone.Close()
	for name, upstreams := range map[string][]netip.AddrPort{"none": nil, "one that is gone": {nobody}} {
		_, at := start(t, upstreams...)
		if m := query(t, "udp", at, "example.com.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %v", name, m)
		}
		if len(query(t, "udp", at, "postgres.", dns.TypeA).Answer) != 2 {
			t.Errorf("%s: and our own names are gone too", name)
		}
	}
}

// What does not fit a datagram says so, and comes over TCP.
func TestLongAnswers(t *testing.T) {
	s, at := start(t)
	var many []network.Member
	for i := range 200 {
		many = append(many, network.Member{Namespace: "default", Service: "web", Slot: uint32(i), Ready: true,
			Address: netip.AddrFrom4([4]byte{10, 1, 0, byte(i)})})
	}
	s.Set(many)
	m := query(t, "udp", at, "web.", dns.TypeA)
	m.Compress = true // as it was on its way
	if !m.Truncated || len(m.Answer) == 0 || m.Len() > dns.MinMsgSize {
		t.Errorf("truncated %t, %d answers, %d bytes", m.Truncated, len(m.Answer), m.Len())
	}
	if m := query(t, "tcp", at, "web.", dns.TypeA); m.Truncated || len(m.Answer) != 200 {
		t.Errorf("over TCP: truncated %t, %d answers", m.Truncated, len(m.Answer))
	}
}

// A task that asks very much is refused before it takes what others need.
func TestTheGate(t *testing.T) {
	g := newGate(3, 2)
	a, b := addr("10.0.0.2"), addr("10.0.0.3")
	for i, want := range []bool{true, true, false} {
		if g.enter(a) != want {
			t.Errorf("question %d of one task", i)
		}
	}
	if !g.enter(b) || g.enter(b) {
		t.Error("the last place")
	}
	g.leave(a)
	if !g.enter(b) {
		t.Error("a place that came free")
	}
	g.leave(a)
	g.leave(b)
	g.leave(b)
	if g.total != 0 || len(g.waiting) != 0 {
		t.Errorf("%d of %v still wait", g.total, g.waiting)
	}
}

func TestWhoeverIsNotATaskHasNoAnswer(t *testing.T) {
	s, at := start(t)
	elsewhere := netip.MustParsePrefix("10.0.0.0/8")
	s.asking.Store(&elsewhere)
	for _, protocol := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: protocol, Timeout: 200 * time.Millisecond}
		if m, _, err := c.Exchange(new(dns.Msg).SetQuestion("postgres.", dns.TypeA), at); err == nil {
			t.Errorf("%s: %v", protocol, m)
		}
	}
	s.asking.Store(&here)
	query(t, "udp", at, "postgres.", dns.TypeA)
}

func TestListenAgain(t *testing.T) {
	s, at := start(t)
	port, err := s.Listen(addr("127.0.0.1"), here)
	if err != nil || !strings.HasSuffix(at, fmt.Sprint(":", port)) {
		t.Errorf("where it listens already: %d, %v", port, err)
	}
	port, err = s.Listen(addr("127.0.0.2"), here)
	if err != nil {
		t.Fatal(err)
	}
	query(t, "udp", netip.AddrPortFrom(addr("127.0.0.2"), port).String(), "postgres.", dns.TypeA)
	s.Close()
	c := &dns.Client{Timeout: 200 * time.Millisecond}
	if _, _, err := c.Exchange(new(dns.Msg).SetQuestion("postgres.", dns.TypeA), at); err == nil {
		t.Error("the old address still answers")
	}
}

// Whatever comes in, the server goes on, and says nothing that is no answer.
func TestGarbage(t *testing.T) {
	_, at := start(t)
	good, err := new(dns.Msg).SetQuestion("postgres.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	packets := [][]byte{{}, {0}, []byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 4096), good[:len(good)-3], append(slices.Clone(good), "more"...)}
	for i := range good {
		flipped := slices.Clone(good)
		flipped[i] ^= 0xff
		packets = append(packets, flipped)
	}
	udp, err := net.Dial("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, p := range packets {
		if _, err := udp.Write(p); err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Dial("tcp4", at)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = tcp.Write(binary.BigEndian.AppendUint16(nil, uint16(len(p)+1)))
		_, _ = tcp.Write(p)
		tcp.Close()
	}
	if len(query(t, "udp", at, "postgres.", dns.TypeA).Answer) != 2 || len(query(t, "tcp", at, "postgres.", dns.TypeA).Answer) != 2 {
		t.Error("it does not answer any more")
	}
}

// Any packet that is one has an answer which fits, and is one itself.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"postgres.", "3.0.0.10.in-addr.arpa.", "a.warren.internal.", "example.com."} {
		m := new(dns.Msg).SetQuestion(name, dns.TypeANY)
		m.SetEdns0(512, true)
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet, false)
	}
	s := New(func() []netip.AddrPort { return nil }, slog.New(slog.DiscardHandler))
	s.Set(town)
	f.Fuzz(func(t *testing.T, packet []byte, tcp bool) {
		m := new(dns.Msg)
		if m.Unpack(packet) != nil {
			return
		}
		q := question{Msg: m, from: addr("10.0.0.2"), tcp: tcp}
		a := s.answer(context.Background(), q)
		out, err := a.Pack()
		if err != nil {
			t.Fatalf("%v\nis answered by what cannot be sent: %v\n%v", m, err, a)
		}
		if a.Id != m.Id || !a.Response || len(out) > q.room() {
			t.Fatalf("%v\nis answered by\n%v", m, a)
		}
	})
}
