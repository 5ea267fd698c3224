package dispatch

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

var (
	errNoMember = status.Error(codes.PermissionDenied, "this node is not a member of the cluster")
	errReplaced = status.Error(codes.Aborted, "the worker has opened a newer session")
	errSilent   = status.Error(codes.DeadlineExceeded, "no heartbeat was heard")
)

type sessionStream = grpc.BidiStreamingServer[warrenv1.WorkerMessage, warrenv1.ManagerMessage]

// session is one worker's connection. One goroutine receives; the call's own
// sends, since a gRPC stream takes one sender.
type session struct {
	nodeID string
	ctx    context.Context
	end    context.CancelCauseFunc
	// detach unties the session from the term.
	detach func() bool

	mu  sync.Mutex
	out outbox
	// wake holds one token while out may have something.
	wake chan struct{}
}

// outbox is what shall be sent next, in any order from any goroutine.
type outbox struct {
	acknowledged []uint64
	opens        []*warrenv1.OpenStream
	standing     *warrenv1.Standing
	changes      news
}

// post changes the outbox and wakes the sender.
func (s *session) post(change func(*outbox)) {
	s.mu.Lock()
	change(&s.out)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take empties the outbox.
func (s *session) take() outbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.out
	s.out = newOutbox()
	return o
}

func newOutbox() outbox { return outbox{changes: newNews()} }

// Session serves one worker until either side ends it, the node falls silent,
// or a newer session of the same worker takes its place.
func (d *Dispatcher) Session(stream sessionStream) error {
	nodeID, err := d.identify(stream.Context())
	if err != nil {
		return err
	}
	t, err := d.leading()
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	node := first.GetHello().GetNode()
	if node == nil {
		return status.Error(codes.InvalidArgument, "a session begins with a hello that describes the node")
	}
	if err := d.understands(nodeID, first.GetHello().GetLevel()); err != nil {
		return err
	}
	s := t.begin(stream.Context(), nodeID)
	defer t.finish(s)
	if err := t.markReady(s.ctx, nodeID, node); errors.Is(err, errNoMember) {
		return err
	} else if err != nil {
		return status.Errorf(codes.Unavailable, "recording that node %s is ready: %v", nodeID, err)
	}
	d.Log.Info("worker connected", "node", nodeID)
	go t.receive(s, stream) // ends with the stream, at the latest when this call returns
	err = t.send(s, stream)
	d.Log.Info("worker disconnected", "node", nodeID, "why", err)
	return err
}

// understands refuses a worker that says what this manager does not know, or
// would not know what this manager says. Its containers go on.
func (d *Dispatcher) understands(nodeID string, level uint32) error {
	var err error
	switch {
	case level > d.Level:
		err = status.Errorf(codes.FailedPrecondition, "this worker is of a newer version (level %d) than the manager (level %d): "+
			"upgrade all managers first", level, d.Level)
	case level+1 < d.Level:
		err = status.Errorf(codes.FailedPrecondition, "this worker is of too old a version (level %d) for the manager (level %d), "+
			"which serves its own and the one before: upgrade the worker", level, d.Level)
	}
	if err != nil {
		d.Log.Warn("refused a worker for its version", "node", nodeID, "worker_level", level, "level", d.Level)
	}
	return err
}

// begin makes the session the node's only one.
func (t *term) begin(streamCtx context.Context, nodeID string) *session {
	ctx, end := context.WithCancelCause(streamCtx)
	s := &session{nodeID: nodeID, ctx: ctx, end: end, out: newOutbox(), wake: make(chan struct{}, 1)}
	s.detach = context.AfterFunc(t.ctx, func() { end(errNotLeading) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.sessions[nodeID]; old != nil {
		old.end(errReplaced)
	}
	t.sessions[nodeID] = s
	t.heard.now(nodeID)
	close(t.arrived)
	t.arrived = make(chan struct{})
	return s
}

func (t *term) finish(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.end(nil)
	s.detach()
	if t.sessions[s.nodeID] == s {
		delete(t.sessions, s.nodeID)
	}
}

func (t *term) session(nodeID string) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sessions[nodeID]
}

// awaitSession returns the node's session. One that is not there yet is waited
// for while the node does not count as down: its worker is on its way, as after
// a change of leaders. nil when it does not come.
func (t *term) awaitSession(ctx context.Context, nodeID string) *session {
	ctx, cancel := context.WithDeadline(ctx, t.heard.until(nodeID, t.patience()))
	defer cancel()
	for {
		t.mu.Lock()
		s, arrived := t.sessions[nodeID], t.arrived
		t.mu.Unlock()
		if s != nil {
			return s
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil
		case <-t.ctx.Done():
			return nil
		}
	}
}

// receive takes what the worker says until it stops speaking.
func (t *term) receive(s *session, stream sessionStream) {
	for {
		m, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			s.end(err)
			return
		}
		t.heard.now(s.nodeID)
		r := m.GetReport()
		if r == nil {
			continue
		}
		select {
		case t.reports <- report{s, r}:
		case <-s.ctx.Done():
			return
		}
	}
}

// send says welcome and the full set, then whatever comes into the outbox.
func (t *term) send(s *session, stream sessionStream) error {
	welcome := &warrenv1.Welcome{NodeId: s.nodeID, ClusterId: t.ClusterID, HeartbeatPeriod: durationpb.New(t.tellPeriod())}
	var err error
	if welcome.Standing, err = t.standingOf(s.ctx, s.nodeID); err != nil {
		return err
	}
	if err := stream.Send(&warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	set := newAssignmentSet(s.nodeID)
	if err := t.sendFull(s.ctx, set, stream); err != nil {
		return err
	}
	for {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return s.why()
		}
		if err := t.sendOutbox(s, set, stream); err != nil {
			return err
		}
	}
}

func (t *term) sendOutbox(s *session, set *assignmentSet, stream sessionStream) error {
	o := s.take()
	for _, sequence := range o.acknowledged {
		ack := &warrenv1.ManagerMessage_Acknowledge{Acknowledge: &warrenv1.Acknowledge{Sequence: sequence}}
		if err := stream.Send(&warrenv1.ManagerMessage{Message: ack}); err != nil {
			return err
		}
	}
	if err := t.sendChanges(s.ctx, set, stream, o.changes); err != nil {
		return err
	}
	if o.standing != nil {
		if err := stream.Send(&warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_Standing{Standing: o.standing}}); err != nil {
			return err
		}
	}
	for _, open := range o.opens {
		if err := stream.Send(&warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_OpenStream{OpenStream: open}}); err != nil {
			return err
		}
	}
	return nil
}

// why is the error that ended the session; nil when the worker simply left.
func (s *session) why() error {
	if err := context.Cause(s.ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
