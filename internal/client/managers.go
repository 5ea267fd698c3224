package client

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
)

// managers are the addresses of one cluster's managers, of which one is spoken
// to at a time: when it does not answer, the next one. It is what the API's
// clients call.
type managers struct {
	options   Options
	patience  patience
	addresses []address

	mu    sync.Mutex
	conns []*grpc.ClientConn // nil until needed
	now   int
}

var _ grpc.ClientConnInterface = (*managers)(nil)

// dialSeveral connects to the first of several managers that answers.
func dialSeveral(ctx context.Context, o Options) (*Client, error) {
	list, err := parseAddresses(o.Manager)
	if err != nil {
		return nil, err
	}
	m := &managers{options: o, patience: patience(o.Patience), addresses: list, conns: make([]*grpc.ClientConn, len(list))}
	if m.patience == 0 {
		m.patience = patience(defaultPatience)
	}
	m.options.Patience = 1 // a call that one does not answer is for the next
	if _, err := m.reach(ctx); err != nil {
		return nil, err
	}
	return newClient(m, m.address), nil
}

// reach connects to the first manager that answers, beginning with the present
// one.
func (m *managers) reach(ctx context.Context) (*grpc.ClientConn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var failures []failure
	for range m.addresses {
		if conn := m.conns[m.now]; conn != nil {
			return conn, nil
		}
		at := m.addresses[m.now]
		conn, err := connect(ctx, at, m.options)
		if err == nil {
			m.conns[m.now] = conn
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failures = append(failures, failure{at, err})
		m.now = (m.now + 1) % len(m.addresses)
	}
	return nil, notReached(failures)
}

// leave goes on to the next manager, if there is one and conn is the present
// one's. Calls that still run on conn go on.
func (m *managers) leave(conn *grpc.ClientConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.addresses) > 1 && m.conns[m.now] == conn {
		m.now = (m.now + 1) % len(m.addresses)
	}
}

func (m *managers) address() address {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addresses[m.now]
}

// Invoke makes a unary call, at other managers too when one does not answer.
func (m *managers) Invoke(ctx context.Context, method string, request, reply any, opts ...grpc.CallOption) error {
	return m.patience.repeat(withRequestID(ctx, method), func(ctx context.Context) error {
		conn, err := m.reach(ctx)
		if err != nil {
			return err // it says itself whom it has tried
		}
		err = conn.Invoke(ctx, method, request, reply, opts...)
		if unanswered(err) {
			m.leave(conn)
		}
		return err
	})
}

// NewStream begins a stream at a manager that answers. It is not begun again:
// what was already said or seen cannot be taken back.
func (m *managers) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := m.reach(ctx)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, conn); err != nil {
		m.leave(conn)
		if conn, err = m.reach(ctx); err != nil {
			return nil, err
		}
	}
	s, err := conn.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, decode(err)
	}
	return decodingStream{s}, nil
}

// Close ends all connections and whatever still runs on them.
func (m *managers) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, conn := range m.conns {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}
