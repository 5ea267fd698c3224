package dns

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	// answerTTL is how many seconds an answer may be remembered: a task that
	// has left is not called for longer.
	answerTTL = 2
	// bufferSize is what an answer over UDP may have without being cut up on
	// its way.
	bufferSize = 1232
)

// question is one that a task asked.
type question struct {
	*dns.Msg
	from netip.Addr
	tcp  bool
}

// answer never returns nil. What is known here is answered at once; only the
// rest waits for others, until ctx ends.
func (s *Server) answer(ctx context.Context, q question) *dns.Msg {
	if len(q.Question) != 1 {
		return failed(q, dns.RcodeFormatError)
	}
	opt := q.IsEdns0()
	switch {
	case q.Opcode != dns.OpcodeQuery:
		return failed(q, dns.RcodeNotImplemented)
	case opt != nil && opt.Version() != 0:
		return failed(q, dns.RcodeBadVers)
	case q.Question[0].Qclass != dns.ClassINET:
		return failed(q, dns.RcodeRefused)
	}
	m := s.own(q)
	if m == nil {
		m = s.forward.ask(ctx, q)
	}
	m.Truncate(q.room())
	return m
}

// own answers for the cluster's names and addresses; nil for all others.
func (s *Server) own(q question) *dns.Msg {
	asked := q.Question[0]
	whole := strings.ToLower(asked.Name)
	directory := s.directory.Load()
	if a, ok := reversed(whole); ok && s.subnet().Contains(a) {
		return s.ownAddress(q, directory, a)
	}
	addresses, found := directory.lookup(whole, q.from)
	switch found {
	case elsewhere:
		return nil
	case missing:
		return failed(q, dns.RcodeNameError)
	}
	m := reply(q)
	if asked.Qtype != dns.TypeA && asked.Qtype != dns.TypeANY {
		return m
	}
	for _, i := range rand.Perm(len(addresses)) {
		m.Answer = append(m.Answer, &dns.A{Hdr: header(asked, dns.TypeA), A: addresses[i].AsSlice()})
	}
	return m
}

func (s *Server) ownAddress(q question, d *Directory, a netip.Addr) *dns.Msg {
	whole, ok := d.owner(a)
	if !ok {
		return failed(q, dns.RcodeNameError)
	}
	m := reply(q)
	if asked := q.Question[0]; asked.Qtype == dns.TypePTR || asked.Qtype == dns.TypeANY {
		m.Answer = []dns.RR{&dns.PTR{Hdr: header(asked, dns.TypePTR), Ptr: whole}}
	}
	return m
}

func header(asked dns.Question, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: asked.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: answerTTL}
}

// reply is an answer of our own, without content.
func reply(q question) *dns.Msg {
	m := new(dns.Msg).SetReply(q.Msg)
	m.Authoritative, m.RecursionAvailable, m.Compress = true, true, true
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(bufferSize, opt.Do())
	}
	return m
}

func failed(q question, code int) *dns.Msg {
	m := reply(q)
	m.Rcode = code
	m.Authoritative = code == dns.RcodeNameError
	return m
}

// room is how long an answer may be.
func (q question) room() int {
	if q.tcp {
		return dns.MaxMsgSize
	}
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = min(max(size, int(opt.UDPSize())), bufferSize)
	}
	return size
}
