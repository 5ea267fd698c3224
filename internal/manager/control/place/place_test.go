package place

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

type house struct {
	t     *testing.T
	store *store.Store
	ctx   context.Context
	place *Reconciler
	watch *store.Watcher
}

func newHouse(t *testing.T) *house {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	h := &house{t: t, store: testkit.NewStore(t), ctx: ctx}
	h.place = New(h.store, slog.New(slog.DiscardHandler))
	h.watch = h.store.Watch()
	t.Cleanup(h.watch.Close)
	return h
}

func (h *house) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

// react lets the reconciler see what changed since it was called last.
func (h *house) react() {
	h.t.Helper()
	changes, err := h.watch.Next(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.place.react(h.ctx, changes); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) node(id string, state warrenv1.NodeState, roles ...warrenv1.Role) {
	h.t.Helper()
	if len(roles) == 0 {
		roles = []warrenv1.Role{warrenv1.Role_ROLE_WORKER}
	}
	h.update(func(tx *store.Tx) error {
		if err := tx.Nodes().Put(&warrenv1.Node{Meta: &warrenv1.Meta{Id: id, Name: id}, Roles: roles}); err != nil {
			return err
		}
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{NodeId: id, State: state}, id)
	})
}

const (
	ready = warrenv1.NodeState_NODE_STATE_READY
	down  = warrenv1.NodeState_NODE_STATE_DOWN
)

func (h *house) volume(id string, change ...func(*warrenv1.Volume)) {
	h.t.Helper()
	v := &warrenv1.Volume{Meta: &warrenv1.Meta{Id: id, Name: id, Namespace: ns}, Spec: &warrenv1.VolumeSpec{Driver: spec.DriverLocal, Access: warrenv1.AccessMode_ACCESS_MODE_NODE}}
	for _, f := range change {
		f(v)
	}
	h.update(func(tx *store.Tx) error { return tx.Volumes().Put(v) })
}

func (h *house) task(id string, volumes ...string) *warrenv1.Task {
	h.t.Helper()
	task := &warrenv1.Task{
		Meta: &warrenv1.Meta{Id: id, Name: id, Namespace: ns}, ServiceId: "svc",
		Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING,
	}
	for i, v := range volumes {
		task.Volumes = append(task.Volumes, &warrenv1.VolumePin{VolumeId: v, Volume: v, Path: fmt.Sprint("/", i), ReadOnly: i > 0})
	}
	h.put(task)
	return task
}

func (h *house) put(task *warrenv1.Task) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		if err := tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: task.Meta.Id, State: warrenv1.TaskState_TASK_STATE_PENDING}, ns, task.Meta.Id); err != nil {
			return err
		}
		return tx.Tasks().Put(task)
	})
}

func (h *house) view(fn func(*store.ReadTx)) {
	h.t.Helper()
	if err := h.store.View(h.ctx, func(tx *store.ReadTx) error { fn(tx); return nil }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) taskRow(id string) (task *warrenv1.Task, status *warrenv1.TaskStatus) {
	h.view(func(tx *store.ReadTx) {
		task, _ = tx.Tasks().Get(ns, id)
		status, _ = tx.TaskStatus().Get(ns, id)
	})
	return task, status
}

func TestATaskIsPlacedTogetherWithItsVolumes(t *testing.T) {
	h := newHouse(t)
	h.node("n1", ready)
	h.node("boss", ready, warrenv1.Role_ROLE_MANAGER)
	h.volume("data")
	h.volume("logs")
	h.task("a", "data", "logs", "data")
	h.react()
	task, status := h.taskRow("a")
	if task.GetNodeId() != "n1" || status.GetState() != warrenv1.TaskState_TASK_STATE_ASSIGNED {
		t.Fatalf("the task: %v, %v", task, status)
	}
	h.view(func(tx *store.ReadTx) {
		for id, readOnly := range map[string]bool{"data": false, "logs": true} {
			v, _ := tx.Volumes().Get(ns, id)
			if v.GetNodeId() != "n1" || !v.GetPinned() {
				t.Errorf("volume %s: %v", id, v)
			}
			a, err := tx.Attachments().Get(ns, id, "a")
			if err != nil || a.GetNodeId() != "n1" || a.GetServiceId() != "svc" || a.GetReadOnly() != readOnly {
				t.Errorf("attachment of %s: %v, %v", id, a, err)
			}
			hold, err := tx.Holds().Get(ns, id)
			if err != nil || hold.GetHolders() != 1 || hold.GetExclusiveTaskId() != "" {
				t.Errorf("hold of %s: %v, %v", id, hold, err)
			}
		}
	})
}

func TestAVolumeAloneIsPlacedButMayStillMove(t *testing.T) {
	h := newHouse(t)
	h.volume("data")
	h.volume("remote", func(v *warrenv1.Volume) { v.Spec.Driver = "nfs" })
	h.volume("gone", func(v *warrenv1.Volume) { v.DeletedAt = timestamppb.Now() })
	h.react()
	h.view(func(tx *store.ReadTx) {
		if s, _ := tx.VolumeStatus().Get(ns, "data"); s.GetMessage() != "the cluster has no worker" {
			t.Errorf("it waits because %q", s.GetMessage())
		}
	})
	h.node("n1", ready)
	h.react()
	h.view(func(tx *store.ReadTx) {
		v, _ := tx.Volumes().Get(ns, "data")
		s, _ := tx.VolumeStatus().Get(ns, "data")
		if v.GetNodeId() != "n1" || v.GetPinned() || s.GetMessage() != "" || s.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_PENDING {
			t.Errorf("placed as %v, %v", v, s)
		}
		for _, id := range []string{"remote", "gone"} {
			if v, _ := tx.Volumes().Get(ns, id); v.GetNodeId() != "" {
				t.Errorf("%s was given node %s", id, v.GetNodeId())
			}
		}
	})
}

func TestAWaitingTaskSaysWhyOnceAndIsPlacedWhenItCan(t *testing.T) {
	h := newHouse(t)
	h.node("n1", down)
	h.volume("data", func(v *warrenv1.Volume) { v.NodeId = "n1" })
	h.task("a", "data")
	secret := h.task("b")
	secret.Secrets = []*warrenv1.SecretPin{{Secret: "api-key"}}
	h.put(secret)
	volume := h.task("c")
	volume.Volumes = []*warrenv1.VolumePin{{Volume: "lost"}}
	h.put(volume)
	h.task("d", "never-was")
	h.react()
	for id, want := range map[string]string{
		"a": "0 of 1 node fits: 1 not ready", "b": "secret api-key does not exist",
		"c": "volume lost does not exist", "d": "volume never-was no longer exists",
	} {
		if _, s := h.taskRow(id); s.GetMessage() != want || s.GetState() != warrenv1.TaskState_TASK_STATE_PENDING {
			t.Errorf("%s waits because %q, want %q", id, s.GetMessage(), want)
		}
	}
	// Looking again changes nothing: there is nothing new to say.
	h.react() // its own writes
	if err := h.place.react(h.ctx, store.Changes{All: true}); err != nil {
		t.Fatal(err)
	}
	quiet, cancel := context.WithTimeout(h.ctx, 20*time.Millisecond)
	defer cancel()
	if changes, err := h.watch.Next(quiet); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("looking again wrote %+v", changes)
	}
	h.node("n1", ready)
	h.react()
	if task, s := h.taskRow("a"); task.GetNodeId() != "n1" || s.GetMessage() != "" {
		t.Errorf("when its node is back: %v, %v", task, s)
	}
}

func TestAnExclusiveVolumeHasOneHolder(t *testing.T) {
	h := newHouse(t)
	h.node("n1", ready)
	h.volume("data", func(v *warrenv1.Volume) { v.Spec.Access = warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE })
	h.task("a", "data")
	h.task("b", "data")
	h.react()
	if task, _ := h.taskRow("a"); task.GetNodeId() != "n1" {
		t.Errorf("the first: %v", task)
	}
	if task, s := h.taskRow("b"); task.GetNodeId() != "" || s.GetMessage() != "volume data is exclusive and held by a" {
		t.Errorf("the second: %v, %v", task, s)
	}
	h.view(func(tx *store.ReadTx) {
		if hold, _ := tx.Holds().Get(ns, "data"); hold.GetExclusiveTaskId() != "a" {
			t.Errorf("hold: %v", hold)
		}
	})
}

// What is decided on an old view must not come true on a newer state.
func TestOldDecisionsAreCheckedAgain(t *testing.T) {
	h := newHouse(t)
	h.node("n1", ready)
	h.volume("moved", func(v *warrenv1.Volume) { v.NodeId = "n2" })
	h.volume("gone", func(v *warrenv1.Volume) { v.DeletedAt = timestamppb.Now() })
	h.volume("held", func(v *warrenv1.Volume) { v.Spec.Access = warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE })
	h.task("a", "moved")
	h.task("b", "gone")
	h.task("c", "held")
	h.task("c2", "held")
	h.task("d", "missing")
	stopped := h.task("e")
	stopped.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
	h.put(stopped)
	placed := h.task("f")
	placed.NodeId = "n2"
	h.put(placed)
	var d schedule.Decisions
	for _, id := range []string{"a", "b", "c", "c2", "d", "e", "f", "nobody"} {
		d.Tasks = append(d.Tasks, schedule.Placement{ID: ns + "/" + id, NodeID: "n1"})
	}
	for _, id := range []string{"moved", "gone", "nobody"} {
		d.Volumes = append(d.Volumes, schedule.Placement{ID: ns + "/" + id, NodeID: "n1"})
	}
	if err := h.place.write(h.ctx, d); err != nil {
		t.Fatal(err)
	}
	var onOne []string
	h.view(func(tx *store.ReadTx) {
		for key := range tx.Tasks().OfNode("n1") {
			onOne = append(onOne, key.ID())
		}
		for _, id := range []string{"moved", "gone"} {
			if v, _ := tx.Volumes().Get(ns, id); v.GetNodeId() == "n1" {
				t.Errorf("volume %s was moved", id)
			}
		}
	})
	if !slices.Equal(onOne, []string{"c"}) {
		t.Errorf("placed %v, only c can be", onOne)
	}
}

func TestManyTasksAreSpreadInSeveralTransactions(t *testing.T) {
	h := newHouse(t)
	const nodes, tasks = 5, 600
	for i := range nodes {
		h.node(fmt.Sprint("n", i), ready)
	}
	h.update(func(tx *store.Tx) error {
		for i := range tasks {
			id := fmt.Sprint("t", i)
			err := tx.Tasks().Put(&warrenv1.Task{
				Meta: &warrenv1.Meta{Id: id, Name: id, Namespace: ns}, ServiceId: fmt.Sprint("svc", i%7),
				Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	h.react()
	h.view(func(tx *store.ReadTx) {
		for i := range nodes {
			n := 0
			for range tx.Tasks().OfNode(fmt.Sprint("n", i)) {
				n++
			}
			if n != tasks/nodes {
				t.Errorf("node %d has %d tasks, not %d", i, n, tasks/nodes)
			}
		}
	})
	// What the census counted change by change is what a new one counts.
	h.react()
	fresh := newCensus()
	h.view(func(tx *store.ReadTx) {
		if _, err := fresh.take(tx, store.Changes{All: true}); err != nil {
			t.Fatal(err)
		}
	})
	if got, want := fmt.Sprint(h.place.census.tasksOn, h.place.census.spread), fmt.Sprint(fresh.tasksOn, fresh.spread); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestReservationsAreCountedAndGivenBack(t *testing.T) {
	h := newHouse(t)
	h.node("n1", ready)
	h.update(func(tx *store.Tx) error {
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{
			NodeId: "n1", State: ready, Description: &warrenv1.NodeDescription{Cpus: 2, MemoryBytes: 4e9},
		}, "n1")
	})
	for _, id := range []string{"t1", "t2"} {
		task := h.task(id)
		task.Container = &warrenv1.ContainerSpec{Resources: &warrenv1.Resources{CpuReserveMillis: 1500}}
		h.put(task)
	}
	placed := func() (first, second string) {
		h.view(func(tx *store.ReadTx) {
			for id, node := range map[string]*string{"t1": &first, "t2": &second} {
				task, err := tx.Tasks().Get(ns, id)
				if err != nil {
					t.Fatal(err)
				}
				*node = task.GetNodeId()
			}
		})
		return first, second
	}
	h.react()
	if first, second := placed(); first != "n1" || second != "" {
		t.Fatalf("t1 is on %q, t2 on %q", first, second)
	}
	h.update(func(tx *store.Tx) error {
		return tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: "t1", State: warrenv1.TaskState_TASK_STATE_FINISHED}, ns, "t1")
	})
	h.react()
	if _, second := placed(); second != "n1" {
		t.Errorf("t2 is on %q, though t1 uses nothing any more", second)
	}
}
