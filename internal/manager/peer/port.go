package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
)

// Protocol is the name by which a TLS client asks to speak Raft; with an era it
// is followed by that.
const Protocol = "warren-raft"

const handshakeLimit = 10 * time.Second

// ErrNoCertificate says that this node has no certificate yet.
var ErrNoCertificate = errors.New("this node has no certificate yet")

// Port is a TCP port on which the API and Raft are served. Until it is given a
// certificate, whoever connects waits.
type Port struct {
	listener net.Listener
	log      *slog.Logger
	source   atomic.Pointer[pki.CertificateSource]
	ready    chan struct{} // closed once there is a source
	once     sync.Once

	api, raft *queue

	// era tells in which era this node is; blank that it is in none yet.
	era atomic.Pointer[func() (era string, blank bool)]
	// warned is when one of another era called last, in Unix seconds.
	warned atomic.Int64

	mu sync.Mutex
	// guard refuses managers that are none any more; nil before it is known.
	guard Guard
	// peers are the connections that speak Raft with this node.
	peers map[*tls.Conn]caller

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Guard tells whether a manager's certificate, which was issued at that time,
// may still speak Raft: an error says why not.
type Guard func(id pki.Identity, issued time.Time) error

// caller is who is at the other end of a connection.
type caller struct {
	id     pki.Identity
	issued time.Time
}

// NewPort takes connections from the listener until it is closed.
func NewPort(listener net.Listener, log *slog.Logger) *Port {
	p := &Port{
		listener: listener, log: log, ready: make(chan struct{}),
		api: newQueue(listener.Addr()), raft: newQueue(listener.Addr()), peers: map[*tls.Conn]caller{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.work.Go(p.accept)
	return p
}

// Use makes the port show the source's certificates and trust their cluster's.
func (p *Port) Use(source *pki.CertificateSource) {
	p.source.Store(source)
	p.once.Do(func() { close(p.ready) })
}

// API gives the connections that speak gRPC. They have shaken hands already:
// serve them with Credentials.
func (p *Port) API() net.Listener { return p.api }

// Raft gives the connections that speak Raft, for a manager that the others
// reach at the address (host:port).
func (p *Port) Raft(address string) raft.StreamLayer {
	return &stream{queue: p.raft, port: p, address: address}
}

// Close stops listening and waits until nothing is under way.
func (p *Port) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.work.Wait()
	p.api.Close()
	p.raft.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Port) accept() {
	for wait := 5 * time.Millisecond; ; {
		conn, err := p.listener.Accept()
		switch {
		case err == nil:
			wait = 5 * time.Millisecond
			p.work.Go(func() { p.greet(conn) })
			continue
		case p.ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return
		}
		// As when there are too many open files: it passes.
		p.log.Warn("a connection could not be taken; trying again", "error", err, "in", wait)
		select {
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-p.ctx.Done():
			return
		}
	}
}

// greet shakes hands and passes the connection on to whom it is for.
func (p *Port) greet(raw net.Conn) {
	ctx, cancel := context.WithTimeout(p.ctx, handshakeLimit)
	defer cancel()
	if err := p.sort(ctx, raw); err != nil {
		raw.Close()
		if p.ctx.Err() == nil {
			level := slog.LevelInfo
			if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "unsupported application protocols") {
				// Whoever only looks whether the port is open; or is of another era,
				// which was told already.
				level = slog.LevelDebug
			}
			p.log.Log(p.ctx, level, "refused a connection", "from", raw.RemoteAddr().String(), "error", err)
		}
	}
}

func (p *Port) sort(ctx context.Context, raw net.Conn) error {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return ErrNoCertificate
	}
	conn := tls.Server(raw, p.serverTLS())
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	state := conn.ConnectionState()
	if !strings.HasPrefix(state.NegotiatedProtocol, Protocol) {
		return p.api.put(ctx, conn)
	}
	peer, err := pki.PeerIdentity(state)
	if err != nil {
		return err
	}
	if !peer.Has(warrenv1.Role_ROLE_MANAGER) {
		return fmt.Errorf("%s is no manager", peer)
	}
	if err := p.admit(conn, caller{peer, pki.IssuedAt(state)}); err != nil {
		return err
	}
	return p.raft.put(ctx, &guarded{conn, p})
}

// dial calls another manager, to speak Raft.
func (p *Port) dial(address string, limit time.Duration) (net.Conn, error) {
	source := p.source.Load()
	if source == nil {
		return nil, ErrNoCertificate
	}
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	want := p.protocol()
	d := tls.Dialer{Config: pki.ClientTLS(source, want)}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, otherEra(address, err)
	}
	if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != want {
		conn.Close()
		return nil, fmt.Errorf("the manager at %s does not speak %s", address, want)
	}
	return conn, nil
}
