package dispatch

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"
)

func tasks(s ...*warrenv1.TaskStatus) *warrenv1.Report {
	return &warrenv1.Report{Sequence: 1, Tasks: s}
}

func TestWhatIsAcknowledgedIsCommitted(t *testing.T) {
	h := newHouse(t).lead()
	h.putTask("a", "n1")
	w := h.connect("n1")
	w.until(func() bool { return w.tasks["a"] != nil })
	for i := range uint64(20) {
		w.report(&warrenv1.Report{Sequence: i, Tasks: []*warrenv1.TaskStatus{
			{TaskId: "a", State: warrenv1.TaskState_TASK_STATE_RUNNING, Restarts: uint32(i)},
		}})
		if got := h.taskStatus("a").GetRestarts(); got != uint32(i) {
			t.Fatalf("report %d is acknowledged, the state says %d", i, got)
		}
	}
}

func TestStatesDoNotGoBackAndExitsAreKept(t *testing.T) {
	h := newHouse(t).lead()
	h.putTask("a", "n1")
	w := h.connect("n1")
	w.until(func() bool { return w.tasks["a"] != nil })
	at := timestamppb.Now()
	w.report(tasks(&warrenv1.TaskStatus{TaskId: "a", State: warrenv1.TaskState_TASK_STATE_BACKOFF, ExitCode: proto.Int32(3), ExitReason: "exited", FinishedAt: at}))
	w.report(tasks(&warrenv1.TaskStatus{TaskId: "a", State: warrenv1.TaskState_TASK_STATE_RUNNING}))
	if s := h.taskStatus("a"); s.GetState() != warrenv1.TaskState_TASK_STATE_RUNNING || s.ExitCode == nil || *s.ExitCode != 3 || s.GetExitReason() != "exited" || !proto.Equal(s.GetFinishedAt(), at) {
		t.Errorf("after a restart: %v", s)
	}
	w.report(tasks(&warrenv1.TaskStatus{TaskId: "a", State: warrenv1.TaskState_TASK_STATE_STOPPED, ExitCode: proto.Int32(0)}))
	w.report(tasks(&warrenv1.TaskStatus{TaskId: "a", State: warrenv1.TaskState_TASK_STATE_RUNNING}))
	if s := h.taskStatus("a"); s.GetState() != warrenv1.TaskState_TASK_STATE_STOPPED || s.GetExitCode() != 0 {
		t.Errorf("after its end: %v", s)
	}
}

func TestAWorkerHasNoSayInWhatIsNotItsOwn(t *testing.T) {
	h := newHouse(t).lead()
	h.putTask("mine", "n1")
	h.putTask("theirs", "n2")
	h.putVolume("mine", "n1")
	h.putVolume("theirs", "n2")
	w := h.connect("n1")
	w.until(func() bool { return w.tasks["mine"] != nil && w.volumes["mine"] != nil })
	gone := warrenv1.VolumePhase_VOLUME_PHASE_GONE
	w.report(&warrenv1.Report{Sequence: 7,
		Tasks: []*warrenv1.TaskStatus{
			{TaskId: "theirs", State: warrenv1.TaskState_TASK_STATE_STOPPED},
			{TaskId: "nobody's", State: warrenv1.TaskState_TASK_STATE_STOPPED},
			{TaskId: "default/mine", State: warrenv1.TaskState_TASK_STATE_STOPPED},
			{TaskId: "mine", State: warrenv1.TaskState_TASK_STATE_RUNNING},
		},
		Volumes: []*warrenv1.VolumeStatus{{VolumeId: "theirs", Phase: gone}, {VolumeId: "mine", Phase: gone}},
	})
	if s := h.taskStatus("theirs"); s != nil {
		t.Errorf("another node's task: %v", s)
	}
	if s := h.taskStatus("mine"); s.GetState() != warrenv1.TaskState_TASK_STATE_RUNNING {
		t.Errorf("its own task: %v", s)
	}
	volume := func(id string) (s *warrenv1.VolumeStatus) {
		_ = h.Store.View(h.ctx, func(tx *store.ReadTx) (err error) {
			s, err = tx.VolumeStatus().Get(ns, id)
			return err
		})
		return s
	}
	if s := volume("theirs"); s != nil {
		t.Errorf("another node's volume: %v", s)
	}
	if s := volume("mine"); s != nil {
		t.Errorf("a volume that nobody deleted is gone: %v", s)
	}
	h.putVolume("mine", "n1", func(v *warrenv1.Volume) { v.DeletedAt = timestamppb.Now() })
	w.report(&warrenv1.Report{Sequence: 8, Volumes: []*warrenv1.VolumeStatus{{VolumeId: "mine", NodeId: "n9", Phase: gone}}})
	if s := volume("mine"); s.GetPhase() != gone || s.GetNodeId() != "n1" {
		t.Errorf("a deleted volume: %v", s)
	}
}

func TestEventsAreKept(t *testing.T) {
	h := newHouse(t).lead()
	w := h.connect("n1")
	w.report(&warrenv1.Report{Sequence: 1, Events: []*warrenv1.Event{{Kind: "task", Name: "pg-task-1", Reason: "crashed", Sequence: 99}}})
	var events []*warrenv1.Event
	if err := h.Store.View(h.ctx, func(tx *store.ReadTx) error {
		for e := range tx.Events().After(0) {
			events = append(events, e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// The first is that the node came.
	if len(events) != 2 || events[0].GetReason() != "ready" ||
		events[1].GetSequence() != 2 || events[1].GetReason() != "crashed" || events[1].GetTime() == nil {
		t.Errorf("events: %v", events)
	}
}

// gate is an engine whose disk can be full, and which counts transactions.
type gate struct {
	store.Engine
	full     atomic.Bool
	proposed atomic.Int64
	shut     sync.RWMutex // locked while nothing passes
}

func (g *gate) Propose(ctx context.Context, t *storepb.Transaction) (uint64, error) {
	g.proposed.Add(1)
	if g.full.Load() && !t.GetReclaim() {
		return 0, store.ErrDiskFull
	}
	g.shut.RLock()
	defer g.shut.RUnlock()
	return g.Engine.Propose(ctx, t)
}

func TestOnAFullDiskEndsAreRecordedAllTheSame(t *testing.T) {
	_, engine := testkit.NewState(t)
	g := &gate{Engine: engine}
	h := newHouse(t, func(c *Config) { c.Store = store.New(g) }).lead()
	h.putTask("a", "n1")
	h.putTask("b", "n1")
	w := h.connect("n1")
	w.until(func() bool { return len(w.tasks) == 2 })
	g.full.Store(true)
	report := tasks(
		&warrenv1.TaskStatus{TaskId: "a", State: warrenv1.TaskState_TASK_STATE_STOPPED},
		&warrenv1.TaskStatus{TaskId: "b", State: warrenv1.TaskState_TASK_STATE_RUNNING},
	)
	w.send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Report{Report: report}})
	w.ends(codes.Unavailable)
	if s := h.taskStatus("a"); s.GetState() != warrenv1.TaskState_TASK_STATE_STOPPED {
		t.Errorf("the end is not known: %v", s)
	}
	if s := h.taskStatus("b"); s != nil {
		t.Errorf("written on a full disk: %v", s)
	}
	g.full.Store(false)
	w = h.connect("n1")
	w.report(report)
	if s := h.taskStatus("b"); s.GetState() != warrenv1.TaskState_TASK_STATE_RUNNING {
		t.Errorf("sent again: %v", s)
	}
}

func TestManyReportsShareTransactions(t *testing.T) {
	const workers = 40
	_, engine := testkit.NewState(t)
	g := &gate{Engine: engine}
	h := newHouse(t, func(c *Config) { c.Store = store.New(g) }).lead()
	all := make([]*worker, workers)
	for i := range all {
		node := fmt.Sprint("n", i)
		h.putTask(fmt.Sprint("t", i), node)
		all[i] = h.connect(node)
		all[i].until(func() bool { return len(all[i].tasks) == 1 })
	}
	before := g.proposed.Load()
	// Nothing is committed until all have spoken.
	g.shut.Lock()
	start := time.Now()
	var said sync.WaitGroup
	for i, w := range all {
		r := tasks(&warrenv1.TaskStatus{TaskId: fmt.Sprint("t", i), State: warrenv1.TaskState_TASK_STATE_RUNNING})
		said.Go(func() { w.report(r) })
	}
	term, err := h.leading()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		for term.heard.isSilent(fmt.Sprint("n", i), start) && h.ctx.Err() == nil {
			runtime.Gosched()
		}
	}
	g.shut.Unlock()
	said.Wait()
	if n := g.proposed.Load() - before; n > 5 {
		t.Errorf("%d reports took %d transactions", workers, n)
	}
}
