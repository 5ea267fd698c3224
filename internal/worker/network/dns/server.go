package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"

	"github.com/cuemby/warren/internal/worker/network"
)

const (
	// Questions that wait for other resolvers, in all and of one task.
	maxWaiting     = 512
	maxWaitingEach = 128
	// Connections over TCP, and how long one may say nothing.
	maxConnections = 128
	idleTimeout    = 5 * time.Second
	maxTCPQueries  = 128
	// No question is longer.
	maxQuestion = 4096
)

// Server answers on one address at a time. Its methods may be called from any
// goroutine.
type Server struct {
	log       *slog.Logger
	directory atomic.Pointer[Directory]
	forward   *forwarder

	mu        sync.Mutex
	listening *listening
	asking    atomic.Pointer[netip.Prefix]
}

// listening is one pair of sockets and who serves them.
type listening struct {
	at      netip.AddrPort
	servers []*dns.Server
	cancel  context.CancelFunc
	serving sync.WaitGroup
	// broken: one of the servers ended by itself.
	broken atomic.Bool
}

// New returns a server that knows no names. upstreams gives the resolvers to
// ask for the names of others, at any moment.
func New(upstreams func() []netip.AddrPort, log *slog.Logger) *Server {
	s := &Server{log: log, forward: &forwarder{upstreams: upstreams, gate: newGate(maxWaiting, maxWaitingEach)}}
	s.directory.Store(NewDirectory(nil))
	return s
}

// Set replaces the names.
func (s *Server) Set(members []network.Member) { s.directory.Store(NewDirectory(members)) }

func (s *Server) subnet() netip.Prefix {
	if p := s.asking.Load(); p != nil {
		return *p
	}
	return netip.Prefix{}
}

// Listen serves whoever is in the subnet, over UDP and TCP at one port of the
// address, which it returns. Where it listens already, it goes on.
func (s *Server) Listen(address netip.Addr, subnet netip.Prefix) (port uint16, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking.Store(&subnet)
	if s.listening != nil && s.listening.at.Addr() == address && !s.listening.broken.Load() {
		return s.listening.at.Port(), nil
	}
	s.close()
	l, err := s.listen(address)
	if err != nil {
		return 0, fmt.Errorf("answer for names at %s: %w", address, err)
	}
	s.listening = l
	return l.at.Port(), nil
}

// listen finds a port that is free for both protocols.
func (s *Server) listen(address netip.Addr) (*listening, error) {
	var failed error
	for range 16 {
		udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
		if err != nil {
			return nil, err
		}
		at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		if err == nil {
			return s.serve(at, udp, tcp), nil
		}
		failed = err
		udp.Close()
	}
	return nil, failed
}

func (s *Server) serve(at netip.AddrPort, udp net.PacketConn, tcp net.Listener) *listening {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listening{at: at, cancel: cancel}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { s.handle(ctx, w, m) })
	reader := func(r dns.Reader) dns.Reader { return &guard{r, s.subnet} }
	l.servers = []*dns.Server{
		{PacketConn: udp, Handler: handler, DecorateReader: reader, UDPSize: maxQuestion},
		{
			Listener: netutil.LimitListener(tcp, maxConnections), Handler: handler, DecorateReader: reader,
			MaxTCPQueries: maxTCPQueries, IdleTimeout: func() time.Duration { return idleTimeout },
		},
	}
	for _, server := range l.servers {
		begun := make(chan struct{})
		begin := sync.OnceFunc(func() { close(begun) })
		server.NotifyStartedFunc = begin
		l.serving.Go(func() {
			defer begin()
			if err := server.ActivateAndServe(); err != nil && ctx.Err() == nil {
				l.broken.Store(true)
				s.log.Error("names are not answered any more", "address", at, "error", err)
			}
		})
		<-begun // before that, it cannot be shut down
	}
	return l
}

func (s *Server) handle(ctx context.Context, w dns.ResponseWriter, m *dns.Msg) {
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	q := question{Msg: m, from: addressOf(w.RemoteAddr()), tcp: tcp}
	err := w.WriteMsg(s.answer(ctx, q))
	if err != nil {
		// What another resolver sent may be more than can be passed on.
		err = w.WriteMsg(failed(q, dns.RcodeServerFailure))
	}
	if err != nil {
		s.log.Debug("an answer was not sent", "to", w.RemoteAddr(), "error", err)
	}
}

// Close stops answering.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
}

func (s *Server) close() {
	if s.listening == nil {
		return
	}
	s.listening.cancel()
	for _, server := range s.listening.servers {
		_ = server.Shutdown() // it waits for who is being answered
	}
	s.listening.serving.Wait()
	s.listening = nil
}

// errStranger ends the connection of one who may not ask.
var errStranger = errors.New("not of this network")

// guard lets only those read from who are in the subnet: to all others the
// server does not exist, so that nobody can be flooded with its answers.
type guard struct {
	dns.Reader
	subnet func() netip.Prefix
}

func (g *guard) ReadUDP(conn *net.UDPConn, timeout time.Duration) ([]byte, *dns.SessionUDP, error) {
	for {
		m, session, err := g.Reader.ReadUDP(conn, timeout)
		if err != nil || g.subnet().Contains(addressOf(session.RemoteAddr())) {
			return m, session, err
		}
	}
}

func (g *guard) ReadTCP(conn net.Conn, timeout time.Duration) ([]byte, error) {
	if !g.subnet().Contains(addressOf(conn.RemoteAddr())) {
		return nil, errStranger
	}
	return g.Reader.ReadTCP(conn, timeout)
}
