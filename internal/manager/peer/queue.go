package peer

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// queue is a net.Listener of connections that somebody else accepted.
type queue struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newQueue(address net.Addr) *queue {
	return &queue{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// put waits until somebody accepts the connection.
func (q *queue) put(ctx context.Context, conn net.Conn) error {
	select {
	case q.conns <- conn:
		return nil
	case <-q.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return q.address }

// stream is what Raft's transport stands upon.
type stream struct {
	*queue
	port    *Port
	address string
}

var _ raft.StreamLayer = (*stream)(nil)

func (s *stream) Dial(to raft.ServerAddress, limit time.Duration) (net.Conn, error) {
	return s.port.dial(string(to), limit)
}

// Addr is where the others reach this manager, which is what Raft tells them.
func (s *stream) Addr() net.Addr { return advertised(s.address) }

type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
