package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

// house is a leading manager's dispatcher on a real store and real gRPC. Who
// calls is said in the call's metadata instead of a certificate.
type house struct {
	*Dispatcher
	t    *testing.T
	ctx  context.Context
	conn *grpc.ClientConn
	// abdicate ends the term and waits until nothing of it is left.
	abdicate func()
}

func newHouse(t *testing.T, change ...func(*Config)) *house {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	c := Config{ClusterID: "cluster-1", HeartbeatPeriod: time.Minute, Log: slog.New(slog.DiscardHandler), Identify: identifyByMetadata}
	for _, f := range change {
		f(&c)
	}
	if c.Store == nil {
		c.Store = testkit.NewStore(t)
	}
	h := &house{Dispatcher: New(c), t: t, ctx: ctx}
	h.update(func(tx *store.Tx) error {
		for i := range 50 {
			id := fmt.Sprint("n", i)
			if err := tx.Nodes().Create(&warrenv1.Node{Meta: &warrenv1.Meta{Id: id, Name: id}}); err != nil {
				return err
			}
		}
		return nil
	})
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	warrenv1.RegisterDispatcherServer(server, h.Dispatcher)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	var err error
	h.conn, err = grpc.NewClient("passthrough:///manager", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.conn.Close() })
	return h
}

// lead starts the term.
func (h *house) lead() *house {
	ctx, cancel := context.WithCancel(h.ctx)
	var term sync.WaitGroup
	term.Go(func() {
		if err := h.Run(ctx); err != nil {
			h.t.Errorf("the term ended with: %v", err)
		}
	})
	h.abdicate = func() { cancel(); term.Wait() }
	h.t.Cleanup(h.abdicate)
	for h.ctx.Err() == nil {
		if _, err := h.leading(); err == nil {
			return h
		}
	}
	h.t.Fatal("does not lead")
	return nil
}

func identifyByMetadata(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if node := md.Get("node"); len(node) == 1 {
		return node[0], nil
	}
	return "", errors.New("no worker's certificate")
}

func (h *house) as(node string) context.Context {
	return metadata.AppendToOutgoingContext(h.ctx, "node", node)
}

func (h *house) client() warrenv1.DispatcherClient { return warrenv1.NewDispatcherClient(h.conn) }

func (h *house) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.Store.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) putTask(id, node string, change ...func(*warrenv1.Task)) {
	h.t.Helper()
	task := &warrenv1.Task{
		Meta: &warrenv1.Meta{Id: id, Name: "svc-task-" + id, Namespace: ns}, ServiceId: "svc", NodeId: node,
		Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING,
	}
	for _, f := range change {
		f(task)
	}
	h.update(func(tx *store.Tx) error { return tx.Tasks().Put(task) })
}

func (h *house) putVolume(id, node string, change ...func(*warrenv1.Volume)) {
	h.t.Helper()
	v := &warrenv1.Volume{Meta: &warrenv1.Meta{Id: id, Name: id, Namespace: ns}, NodeId: node}
	for _, f := range change {
		f(v)
	}
	h.update(func(tx *store.Tx) error { return tx.Volumes().Put(v) })
}

func stoppedTask(task *warrenv1.Task) { task.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED }

func (h *house) taskStatus(id string) (s *warrenv1.TaskStatus) {
	h.t.Helper()
	err := h.Store.View(h.ctx, func(tx *store.ReadTx) (err error) {
		s, err = tx.TaskStatus().Get(ns, id)
		return unlessNotFound(err)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// nodeBecomes waits until the node's stored state is that one.
func (h *house) nodeBecomes(node string, state warrenv1.NodeState) *warrenv1.NodeStatus {
	h.t.Helper()
	w := h.Store.Watch(store.TableNodeStatus)
	defer w.Close()
	for {
		if _, err := w.Next(h.ctx); err != nil {
			h.t.Fatalf("%s never became %v: %v", node, state, err)
		}
		var s *warrenv1.NodeStatus
		_ = h.Store.ViewStale(h.ctx, func(tx *store.ReadTx) (err error) {
			s, err = tx.NodeStatus().Get(node)
			return unlessNotFound(err)
		})
		if s.GetState() == state {
			return s
		}
	}
}

// worker is the other end of a session.
type worker struct {
	h      *house
	stream grpc.BidiStreamingClient[warrenv1.WorkerMessage, warrenv1.ManagerMessage]
	// What it was assigned, by ID.
	tasks   map[string]*warrenv1.Task
	volumes map[string]*warrenv1.Volume
}

// connect says hello and takes the full set in.
func (h *house) connect(node string) *worker {
	h.t.Helper()
	stream, err := h.client().Session(h.as(node))
	if err != nil {
		h.t.Fatal(err)
	}
	w := &worker{h: h, stream: stream, tasks: map[string]*warrenv1.Task{}, volumes: map[string]*warrenv1.Volume{}}
	w.send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Hello{Hello: &warrenv1.Hello{Node: &warrenv1.NodeDescription{Hostname: node}}}})
	welcome := w.next().GetWelcome()
	if welcome.GetNodeId() != node || welcome.GetClusterId() != "cluster-1" || welcome.GetHeartbeatPeriod().AsDuration() != h.HeartbeatPeriod {
		h.t.Fatalf("welcomed with %v", welcome)
	}
	for {
		a := w.next().GetAssignments()
		if !a.GetFull() {
			h.t.Fatalf("the first assignments are not full: %v", a)
		}
		w.apply(a)
		if !a.GetMore() {
			return w
		}
	}
}

func (w *worker) send(m *warrenv1.WorkerMessage) {
	w.h.t.Helper()
	if err := w.stream.Send(m); err != nil {
		w.h.t.Fatal(err)
	}
}

func (w *worker) next() *warrenv1.ManagerMessage {
	w.h.t.Helper()
	m, err := w.stream.Recv()
	if err != nil {
		w.h.t.Fatal(err)
	}
	return m
}

func (w *worker) apply(a *warrenv1.Assignments) {
	for _, v := range a.GetVolumes() {
		w.volumes[v.GetMeta().GetId()] = v
	}
	for _, task := range a.GetTasks() {
		w.tasks[task.GetMeta().GetId()] = task
	}
	for _, id := range a.GetRemovedTasks() {
		delete(w.tasks, id)
	}
	for _, id := range a.GetRemovedVolumes() {
		delete(w.volumes, id)
	}
}

// until takes changes in until done says so.
func (w *worker) until(done func() bool) {
	w.h.t.Helper()
	for !done() {
		w.apply(w.next().GetAssignments())
	}
}

// report sends and waits for the acknowledgement.
func (w *worker) report(r *warrenv1.Report) {
	w.h.t.Helper()
	w.send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Report{Report: r}})
	for {
		m := w.next()
		if ack := m.GetAcknowledge(); ack != nil {
			if ack.GetSequence() != r.GetSequence() {
				w.h.t.Fatalf("acknowledged %d, sent %d", ack.GetSequence(), r.GetSequence())
			}
			return
		}
		w.apply(m.GetAssignments())
	}
}

// ends waits for the session's end and checks why it ended.
func (w *worker) ends(want codes.Code) {
	w.h.t.Helper()
	for {
		if _, err := w.stream.Recv(); err != nil {
			if status.Code(err) != want {
				w.h.t.Errorf("ended with %v, want %v", err, want)
			}
			return
		}
	}
}

func TestOnlyWorkersOfALeaderAreServed(t *testing.T) {
	h := newHouse(t)
	first := func(ctx context.Context) error {
		stream, err := h.client().Session(ctx)
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	if err := first(h.as("n1")); status.Code(err) != codes.Unavailable {
		t.Errorf("without a leader: %v", err)
	}
	h.lead()
	if err := first(h.ctx); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without a certificate: %v", err)
	}
	stream, err := h.client().Session(h.as("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Heartbeat{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a hello: %v", err)
	}
	if stream, err = h.client().Session(h.as("stranger")); err != nil {
		t.Fatal(err)
	}
	hello := &warrenv1.Hello{Node: &warrenv1.NodeDescription{}}
	if err := stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without being a member: %v", err)
	}
	w := h.connect("n1")
	h.abdicate()
	w.ends(codes.Unavailable)
	if err := first(h.as("n1")); status.Code(err) != codes.Unavailable {
		t.Errorf("after the term: %v", err)
	}
}

func TestANewSessionReplacesTheOld(t *testing.T) {
	h := newHouse(t).lead()
	old := h.connect("n1")
	h.connect("n1")
	old.ends(codes.Aborted)
	w := h.connect("n2")
	h.putTask("a", "n2")
	w.until(func() bool { return w.tasks["a"] != nil })
}

func TestASilentNodeIsDownUntilItIsHeardAgain(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.HeartbeatPeriod = 20 * time.Millisecond }).lead()
	w := h.connect("n1")
	up := h.nodeBecomes("n1", warrenv1.NodeState_NODE_STATE_READY)
	if up.GetDescription().GetHostname() != "n1" || up.GetStateSince() == nil {
		t.Errorf("a ready node: %v", up)
	}
	down := h.nodeBecomes("n1", warrenv1.NodeState_NODE_STATE_DOWN)
	if want := "nothing was heard of it for 60ms"; down.GetMessage() != want {
		t.Errorf("it is down because %q, want %q", down.GetMessage(), want)
	}
	w.ends(codes.DeadlineExceeded)
	h.connect("n1")
	if up = h.nodeBecomes("n1", warrenv1.NodeState_NODE_STATE_READY); up.GetMessage() != "" {
		t.Errorf("a node that came back: %v", up)
	}
}

func TestHeartbeatsKeepANodeReady(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.HeartbeatPeriod = 20 * time.Millisecond }).lead()
	w := h.connect("n1")
	w2 := h.connect("n2")
	ctx, cancel := context.WithCancel(h.ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			_ = w.stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Heartbeat{Heartbeat: &warrenv1.Heartbeat{}}})
		}
	})
	h.nodeBecomes("n2", warrenv1.NodeState_NODE_STATE_DOWN)
	h.nodeBecomes("n1", warrenv1.NodeState_NODE_STATE_READY)
	cancel()
	beats.Wait()
	w2.ends(codes.DeadlineExceeded)
}

func TestANewLeaderGivesUpNodesThatNeverCome(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.HeartbeatPeriod = 10 * time.Millisecond })
	h.update(func(tx *store.Tx) error {
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{NodeId: "n1", State: warrenv1.NodeState_NODE_STATE_READY}, "n1")
	})
	h.lead()
	h.nodeBecomes("n1", warrenv1.NodeState_NODE_STATE_DOWN)
}

func TestAWorkerIsToldItsOwnAndNothingElse(t *testing.T) {
	h := newHouse(t).lead()
	h.putVolume("v1", "n1")
	h.putVolume("v2", "n2")
	h.putTask("a", "n1")
	h.putTask("b", "n2")
	h.putTask("unplaced", "")
	h.putTask("past", "n1", stoppedTask)
	h.update(func(tx *store.Tx) error {
		return tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: "past", State: warrenv1.TaskState_TASK_STATE_STOPPED}, ns, "past")
	})
	h.putTask("ending", "n1", stoppedTask)

	w := &worker{}
	// The index follows the store a moment later; the set is right by then.
	for fmt.Sprint(len(w.tasks), len(w.volumes)) != "2 1" {
		w = h.connect("n1")
	}
	if w.tasks["a"] == nil || w.tasks["ending"] == nil || w.volumes["v1"] == nil {
		t.Fatalf("assigned %v and %v", w.tasks, w.volumes)
	}
	h.putTask("c", "n2")
	h.putTask("d", "n1")
	w.until(func() bool { return w.tasks["d"] != nil })
	if w.tasks["c"] != nil {
		t.Error("it was told of another node's task")
	}
	h.putTask("d", "n1", stoppedTask)
	w.until(func() bool { return w.tasks["d"].GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED })
	w.report(&warrenv1.Report{Sequence: 1, Tasks: []*warrenv1.TaskStatus{{TaskId: "d", State: warrenv1.TaskState_TASK_STATE_STOPPED}}})
	w.until(func() bool { return w.tasks["d"] == nil })
	h.update(func(tx *store.Tx) error {
		v, err := tx.Volumes().Get(ns, "v1")
		if err != nil {
			return err
		}
		return tx.Volumes().Delete(v)
	})
	w.until(func() bool { return len(w.volumes) == 0 })
	if got := fmt.Sprint(len(w.tasks)); got != "2" {
		t.Errorf("%s tasks are left: %v", got, w.tasks)
	}
}
