package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// conversation is one answer to an OpenStream. send may be called from any
// goroutine; frames is closed when the manager's side has ended, and then the
// conversation's context ends too.
type conversation struct {
	stream grpc.BidiStreamingClient[warrenv1.WorkerFrame, warrenv1.ManagerFrame]
	frames chan *warrenv1.ManagerFrame
	mu     sync.Mutex
}

func (c *conversation) send(f *warrenv1.WorkerFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.Send(f)
}

// receive passes on what the manager sends until its side ends.
func (c *conversation) receive(ctx context.Context, end context.CancelFunc) {
	defer end()
	defer close(c.frames)
	for {
		f, err := c.stream.Recv()
		if err != nil {
			return
		}
		select {
		case c.frames <- f:
		case <-ctx.Done():
			return
		}
	}
}

// serve answers an OpenStream and returns when it is done with.
func (a *Agent) serve(ctx context.Context, m *manager, open *warrenv1.OpenStream) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	stream, err := m.client.Stream(ctx)
	if err != nil {
		a.log.Warn("a stream that the manager asked for could not be opened", "error", err)
		return
	}
	c := &conversation{stream: stream, frames: make(chan *warrenv1.ManagerFrame)}
	if err := c.send(&warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_StreamId{StreamId: open.GetId()}}); err != nil {
		a.log.Warn("a stream that the manager asked for was not taken", "error", err)
		return
	}
	var receiver sync.WaitGroup
	defer receiver.Wait()
	receiver.Go(func() { c.receive(ctx, end) })
	if err := a.answer(ctx, m, c, open); err != nil {
		s := streamError(err)
		a.log.Debug("a stream ended with an error", "error", err)
		_ = c.send(&warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Error{Error: s}}) // the manager may be gone
	}
	if err := stream.CloseSend(); err != nil {
		return
	}
	// The manager hangs up when it has read all.
	for range c.frames {
	}
}

func (a *Agent) answer(ctx context.Context, m *manager, c *conversation, open *warrenv1.OpenStream) error {
	switch {
	case open.GetExec() != nil:
		return a.exec(ctx, c, open.GetExec())
	case open.GetLogs() != nil:
		return a.sendLogs(ctx, c, open.GetLogs())
	case open.GetImageLoad() != nil:
		return a.loadImage(ctx, m, c)
	case open.GetUsage() != nil:
		return a.sendUsage(ctx, c, open.GetUsage())
	case open.GetImageList() != nil:
		return a.listImages(ctx, m, c)
	}
	return status.Errorf(codes.Unimplemented, "this worker (%s) does not know what is asked for; upgrade it", a.cfg.Version)
}

// streamError says what went wrong with the code that fits.
func streamError(err error) *warrenv1.StreamError {
	code := status.Code(err)
	message := err.Error()
	switch s, ok := status.FromError(err); {
	case ok:
		message = s.Message()
	case errors.Is(err, runtime.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	}
	return &warrenv1.StreamError{Code: int32(code), Message: message}
}

// find returns the task of that ID, or of that name, the one that runs first.
func (a *Agent) find(ref *warrenv1.Ref) (*task, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.tasks[ref.GetNameOrId()]; t != nil {
		return t, nil
	}
	var found *task
	for _, t := range a.tasks {
		want, _ := t.current()
		meta := want.GetMeta()
		if meta.GetName() != ref.GetNameOrId() || ref.GetNamespace() != "" && meta.GetNamespace() != ref.GetNamespace() {
			continue
		}
		if found == nil || t.status.Load().GetState() == warrenv1.TaskState_TASK_STATE_RUNNING {
			found = t
		}
	}
	if found == nil {
		return nil, fmt.Errorf("task %s is not on this node: %w", ref.GetNameOrId(), runtime.ErrNotFound)
	}
	return found, nil
}
