package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Stream is one conversation with a worker: a command in a task, a task's
// logs, an image on its way. Send and Recv may be called by one goroutine
// each.
type Stream struct {
	grpc   grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]
	closed chan struct{}
	once   sync.Once
}

// Send hands the worker one frame.
func (s *Stream) Send(f *warrenv1.ManagerFrame) error { return s.grpc.Send(f) }

// Recv returns the worker's next frame, and io.EOF when it has said all. What
// the worker reports as its failure is returned as an error with that status.
func (s *Stream) Recv() (*warrenv1.WorkerFrame, error) {
	f, err := s.grpc.Recv()
	if err != nil {
		return nil, err
	}
	if e := f.GetError(); e != nil {
		return nil, status.Error(codes.Code(uint32(e.GetCode())), e.GetMessage())
	}
	return f, nil
}

// Close ends the conversation; the worker sees its stream end. It may be
// called more than once.
func (s *Stream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// calls matches the OpenStreams that were sent with the workers' answers.
type calls struct {
	mu      sync.Mutex
	waiting map[string]*call
}

// call is an OpenStream whose worker has not answered yet.
type call struct {
	nodeID string
	answer chan *Stream
	// gone is closed when nobody waits for the answer any more.
	gone chan struct{}
}

func (c *calls) add(id, nodeID string) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string]*call{}
	}
	w := &call{nodeID: nodeID, answer: make(chan *Stream), gone: make(chan struct{})}
	c.waiting[id] = w
	return w
}

func (c *calls) remove(id string, w *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
	close(w.gone)
}

// find returns the call of that ID if it was made to that node.
func (c *calls) find(id, nodeID string) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting[id]; w != nil && w.nodeID == nodeID {
		return w
	}
	return nil
}

// Open asks the node's worker to serve what open names and returns once it
// does. The stream ends with ctx or with Close. The error is a *spec.Problem
// when the node is not connected.
func (d *Dispatcher) Open(ctx context.Context, nodeID string, open *warrenv1.OpenStream) (*Stream, error) {
	t, err := d.leading()
	if err != nil {
		return nil, err
	}
	s := t.awaitSession(ctx, nodeID)
	if s == nil {
		return nil, notConnected(nodeID)
	}
	id := rand.Text()
	c := t.calls.add(id, nodeID)
	defer t.calls.remove(id, c)
	asked := &warrenv1.OpenStream{Id: id, Purpose: open.GetPurpose()}
	s.post(func(o *outbox) { o.opens = append(o.opens, asked) })
	select {
	case stream := <-c.answer:
		context.AfterFunc(ctx, func() { _ = stream.Close() })
		return stream, nil
	case <-s.ctx.Done():
		return nil, notConnected(nodeID)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func notConnected(nodeID string) error {
	return spec.Problemf(spec.Unavailable, spec.KindNode, nodeID, "node %s is not connected", nodeID).
		WithHint("see 'warren node list'")
}

// Stream is a worker's answer to an OpenStream. It lasts until the manager's
// side closes it or either side is gone.
func (d *Dispatcher) Stream(g grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]) error {
	nodeID, err := d.identify(g.Context())
	if err != nil {
		return err
	}
	t, err := d.leading()
	if err != nil {
		return err
	}
	first, err := g.Recv()
	if errors.Is(err, io.EOF) {
		return status.Error(codes.InvalidArgument, "a stream begins with its ID")
	} else if err != nil {
		return err
	}
	c := t.calls.find(first.GetStreamId(), nodeID)
	if c == nil {
		return status.Error(codes.NotFound, "nobody waits for this stream any more")
	}
	s := &Stream{grpc: g, closed: make(chan struct{})}
	select {
	case c.answer <- s:
	case <-c.gone:
		return status.Error(codes.NotFound, "nobody waits for this stream any more")
	case <-g.Context().Done():
		return g.Context().Err()
	case <-t.ctx.Done():
		return errNotLeading
	}
	select {
	case <-s.closed:
		return nil
	case <-g.Context().Done():
		return g.Context().Err()
	case <-t.ctx.Done():
		return errNotLeading
	}
}
