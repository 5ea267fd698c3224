package peer

import (
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/cuemby/warren/internal/pki"
)

const (
	// maxAnswer bounds one answer, as clients do.
	maxAnswer = 256 << 20
	// A peer that says nothing for idlePing is asked whether it lives.
	idlePing    = 10 * time.Second
	pingTimeout = 5 * time.Second
	// How often a peer that does not answer is called again, at most.
	redial = 500 * time.Millisecond
)

// Links are gRPC connections to other managers, made when they are needed.
type Links struct {
	source func() *pki.CertificateSource

	mu     sync.Mutex
	closed bool
	open   map[string]*grpc.ClientConn
}

// Links calls other managers with the port's certificate. The caller must
// Close them.
func (p *Port) Links() *Links {
	return &Links{source: p.source.Load, open: map[string]*grpc.ClientConn{}}
}

// To is the connection to the manager at the address (host:port); it may not
// stand yet.
func (l *Links) To(address string) (grpc.ClientConnInterface, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn := l.open[address]; conn != nil {
		return conn, nil
	}
	source := l.source()
	switch {
	case l.closed:
		return nil, errors.New("this manager is stopping")
	case source == nil:
		return nil, ErrNoCertificate
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(credentials.NewTLS(pki.ClientTLS(source))),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: idlePing, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: redial / 10, Multiplier: 1.6, Jitter: 0.2, MaxDelay: redial},
			MinConnectTimeout: 2 * time.Second,
		}))
	if err != nil {
		return nil, err
	}
	l.open[address] = conn
	return conn, nil
}

// Close ends all connections and what runs on them.
func (l *Links) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for _, conn := range l.open {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
