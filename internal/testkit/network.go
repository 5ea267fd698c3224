package testkit

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Network joins the managers of one process. Links between them can be cut and
// slowed; a cut breaks what is open and refuses what is new.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*layer
	cut       map[[2]string]bool
	delay     map[string]time.Duration
	open      map[[2]string]map[net.Conn]struct{}
}

// NewNetwork returns a network on which everybody reaches everybody.
func NewNetwork() *Network {
	return &Network{
		listeners: map[string]*layer{}, cut: map[[2]string]bool{},
		delay: map[string]time.Duration{}, open: map[[2]string]map[net.Conn]struct{}{},
	}
}

// pair names the link between two, whoever called.
func pair(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// Cut breaks the link between two managers.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	link := pair(a, b)
	n.cut[link] = true
	for conn := range n.open[link] {
		conn.Close()
	}
	delete(n.open, link)
}

// Isolate cuts a manager off from all others.
func (n *Network) Isolate(name string) {
	n.mu.Lock()
	var others []string
	for other := range n.listeners {
		if other != name {
			others = append(others, other)
		}
	}
	n.mu.Unlock()
	for _, other := range others {
		n.Cut(name, other)
	}
}

// Slow makes everything that a manager says take longer by d.
func (n *Network) Slow(name string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay[name] = d
}

// Heal makes all links whole and fast again.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	clear(n.delay)
}

func (n *Network) slowness(name string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.delay[name]
}

// listen gives a manager its place on the network, until the layer is closed.
func (n *Network) listen(name string) *layer {
	l := &layer{network: n, name: name, calls: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[name] = l
	return l
}

var errCut = errors.New("the link is cut")

func (n *Network) dial(from, to string, limit time.Duration) (net.Conn, error) {
	near, far := net.Pipe()
	called, err := n.connect(from, to, near, far)
	if err != nil {
		return nil, err
	}
	select {
	case called.calls <- &wire{far, n, to}:
		return &wire{near, n, from}, nil
	case <-called.closed:
		return nil, errCut
	case <-time.After(limit):
		return nil, errors.New("nobody answers")
	}
}

func (n *Network) connect(from, to string, ends ...net.Conn) (*layer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	called, link := n.listeners[to], pair(from, to)
	if called == nil || n.cut[link] {
		return nil, errCut
	}
	if n.open[link] == nil {
		n.open[link] = map[net.Conn]struct{}{}
	}
	for _, end := range ends {
		n.open[link][end] = struct{}{}
	}
	return called, nil
}

// wire is one end of a connection.
type wire struct {
	net.Conn
	network *Network
	owner   string
}

func (w *wire) Write(b []byte) (int, error) {
	if d := w.network.slowness(w.owner); d > 0 {
		time.Sleep(d)
	}
	return w.Conn.Write(b)
}

// layer is a manager's place on the network.
type layer struct {
	network *Network
	name    string
	calls   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

var _ raft.StreamLayer = (*layer)(nil)

func (l *layer) Dial(to raft.ServerAddress, limit time.Duration) (net.Conn, error) {
	return l.network.dial(l.name, string(to), limit)
}

func (l *layer) Accept() (net.Conn, error) {
	select {
	case conn := <-l.calls:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *layer) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *layer) Addr() net.Addr { return place(l.name) }

type place string

func (place) Network() string  { return "testkit" }
func (p place) String() string { return string(p) }
