package service

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

const (
	running = warrenv1.DesiredState_DESIRED_STATE_RUNNING
	stopped = warrenv1.DesiredState_DESIRED_STATE_STOPPED

	startFirst = warrenv1.UpdateOrder_UPDATE_ORDER_START_FIRST
	stopFirst  = warrenv1.UpdateOrder_UPDATE_ORDER_STOP_FIRST
)

// play is a service and its tasks without a store: what the plan asks for
// happens at once, what nodes report happens when the test says so, and time
// passes when nothing else happens.
type play struct {
	world
	made    int
	removed bool
	// broken are the spec versions whose tasks crash.
	broken map[uint64]bool
	// waits are those whose tasks are given no node.
	waits map[uint64]bool
	// versions are the spec versions of all revisions.
	versions map[uint64]uint64
}

func newPlay(replicas uint32, order warrenv1.UpdateOrder) *play {
	return &play{
		broken: map[uint64]bool{}, versions: map[uint64]uint64{1: 1},
		world: world{order: order, now: time.Unix(1_000_000, 0), service: &warrenv1.Service{
			Revision: 1, SpecVersion: 1, Spec: &warrenv1.ServiceSpec{Replicas: replicas, Update: &warrenv1.UpdateRules{}},
		}},
	}
}

// change gives the service another container.
func (w *play) change() {
	w.revise(w.service.Revision + 1)
	w.service.Rollout++
}

// revise makes the next revision, of that spec version.
func (w *play) revise(version uint64) {
	w.service.Revision++
	w.service.SpecVersion = version
	w.versions[w.service.Revision] = version
	w.from = 0
	for revision, v := range w.versions {
		if v != version {
			w.from = max(w.from, revision)
		}
	}
}

func (w *play) plan() *plan {
	p := makePlan(&w.world)
	for i := range w.tasks {
		if slices.ContainsFunc(p.stop, func(l leaver) bool { return l.id == w.tasks[i].id }) {
			w.tasks[i].desired = stopped
		}
	}
	if p.update != nil {
		w.update = p.update
	}
	if p.rollback {
		w.revise(w.versions[p.update.FromRevision])
		return p // as apply does
	}
	for _, s := range p.create {
		w.made++
		w.tasks = append(w.tasks, task{
			id: fmt.Sprintf("t%03d", w.made), name: fmt.Sprint("web-task-", s.slot), slot: s.slot, node: s.node, incarnation: s.incarnation,
			specVersion: w.service.SpecVersion, desired: running, created: w.now,
			status: &warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_PENDING, StateSince: timestamppb.New(w.now)},
		})
	}
	w.removed = w.removed || p.remove
	return p
}

// report lets the node of a task do what it can.
func (w *play) report(t *task) (moved bool) {
	state := warrenv1.TaskState_TASK_STATE_RUNNING
	switch {
	case t.over() || slices.ContainsFunc(w.nodes, func(n node) bool { return n.id == t.node && n.down }):
		return false
	case t.desired == stopped:
		state = warrenv1.TaskState_TASK_STATE_STOPPED
	case w.waits[t.specVersion]:
		t.status.Message = "no node is ready"
		return false
	case w.broken[t.specVersion]:
		state = warrenv1.TaskState_TASK_STATE_BACKOFF
	}
	if t.status.State == state {
		return false
	}
	t.status = &warrenv1.TaskStatus{State: state, StateSince: timestamppb.New(w.now), Message: "exited with code 1"}
	t.held = state != warrenv1.TaskState_TASK_STATE_STOPPED
	return true
}

// step lets everything happen that can, and then the time pass that the plan
// waits for. It tells whether anything can happen still.
func (w *play) step() bool {
	p := w.plan()
	moved := !p.empty()
	for i := range w.tasks {
		moved = w.report(&w.tasks[i]) || moved
	}
	if !moved && !p.wake.IsZero() {
		w.now, moved = p.wake, true
	}
	return moved && !w.removed
}

// settle goes on until nothing changes any more; check is called at each step.
func (w *play) settle(t interface{ Fatalf(string, ...any) }, check func()) {
	for range 1000 {
		if !w.step() {
			return
		}
		check()
	}
	t.Fatalf("never settles: %+v", w.tasks)
}

func (w *play) live(slot uint32) (live []task) {
	for _, x := range w.tasks {
		if x.slot == slot && !x.over() {
			live = append(live, x)
		}
	}
	return live
}

// up counts the slots in which a task works and is to go on.
func (w *play) up() (n int) {
	for slot := uint32(1); slot <= w.service.Spec.Replicas; slot++ {
		if slices.ContainsFunc(w.live(slot), func(t task) bool { return t.wanted() && spec.Up(t.status) }) {
			n++
		}
	}
	return n
}

func TestAnyHistoryEndsAsTheServiceWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newPlay(rapid.Uint32Range(0, 4).Draw(t, "replicas"), rapid.SampledFrom([]warrenv1.UpdateOrder{startFirst, stopFirst}).Draw(t, "order"))
		w.service.Spec.Update.FailureAction = warrenv1.FailureAction(rapid.Int32Range(0, 3).Draw(t, "action"))
		w.service.Spec.Update.Delay = durationpb.New(time.Duration(rapid.IntRange(0, 30).Draw(t, "delay")) * time.Second)
		n := rapid.Uint32Range(0, 3).Draw(t, "parallelism")
		w.service.Spec.Update.Parallelism = &n
		check := func() { checkSlots(t, w) }
		t.Repeat(map[string]func(*rapid.T){
			"plan":   func(t *rapid.T) { w.plan() },
			"scale":  func(t *rapid.T) { w.service.Spec.Replicas = rapid.Uint32Range(0, 4).Draw(t, "replicas") },
			"stop":   func(t *rapid.T) { w.service.Stopped = true },
			"start":  func(t *rapid.T) { w.service.Stopped = false },
			"update": func(t *rapid.T) { w.change(); w.broken[w.service.SpecVersion] = rapid.Bool().Draw(t, "broken") },
			"time": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
			},
			"report": func(t *rapid.T) {
				if len(w.tasks) == 0 {
					t.Skip("no task yet")
				}
				w.report(&w.tasks[rapid.IntRange(0, len(w.tasks)-1).Draw(t, "task")])
			},
			"": func(t *rapid.T) { checkSlots(t, w) },
		})
		if rapid.Bool().Draw(t, "delete") {
			w.service.DeletedAt = timestamppb.Now()
			w.settle(t, check)
			for i := range w.tasks {
				w.tasks[i].held = false
			}
			w.settle(t, check)
			if !w.removed {
				t.Fatalf("the deleted service stays: %+v", w.tasks)
			}
			return
		}
		// Whatever failed before: a good spec gets there.
		w.service.Stopped = false
		w.change()
		w.settle(t, check)
		checkWanted(t, w)
	})
}

// checkSlots: two tasks of one slot must never be there at once, or with
// start-first, no more than one that is to stay and one that it replaces.
// Incarnations count up.
func checkSlots(t *rapid.T, w *play) {
	seen := map[string]bool{}
	for slot := uint32(1); slot <= 4; slot++ {
		live := w.live(slot)
		wanted := 0
		for _, x := range live {
			if x.wanted() {
				wanted++
			}
		}
		if w.order == stopFirst && len(live) > 1 || wanted > 2 {
			t.Fatalf("slot %d has %d tasks: %+v", slot, len(live), w.tasks)
		}
	}
	for _, x := range w.tasks {
		if key := fmt.Sprint(x.slot, ".", x.incarnation); seen[key] {
			t.Fatalf("incarnation %s twice: %+v", key, w.tasks)
		} else {
			seen[key] = true
		}
	}
}

func checkWanted(t *rapid.T, w *play) {
	var slots []uint32
	for _, x := range w.tasks {
		if x.over() {
			continue
		}
		if x.specVersion != w.service.SpecVersion || x.desired != running {
			t.Fatalf("%+v is left of an older spec", x)
		}
		slots = append(slots, x.slot)
	}
	slices.Sort(slots)
	var want []uint32
	for i := uint32(1); i <= w.service.Spec.Replicas; i++ {
		want = append(want, i)
	}
	if !slices.Equal(slots, want) {
		t.Fatalf("slots %v have a task, want %v", slots, want)
	}
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_COMPLETED {
		t.Fatalf("the update is %v: %s", w.update.GetState(), w.update.GetMessage())
	}
}

// However many are replaced at once, the others work; with start-first all do.
func TestAnUpdateNeverTakesMoreThanItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.SampledFrom([]warrenv1.UpdateOrder{startFirst, stopFirst}).Draw(t, "order")
		w := newPlay(rapid.Uint32Range(1, 6).Draw(t, "replicas"), order)
		n := rapid.Uint32Range(1, 3).Draw(t, "parallelism")
		w.service.Spec.Update.Parallelism = &n
		w.service.Spec.Update.FailureAction = warrenv1.FailureAction(rapid.Int32Range(0, 2).Draw(t, "action"))
		w.settle(t, func() {})
		w.change()
		w.broken[w.service.SpecVersion] = rapid.Bool().Draw(t, "broken")
		least := int(w.service.Spec.Replicas)
		if order == stopFirst {
			least -= int(n)
		}
		w.settle(t, func() {
			if w.up() < least {
				t.Fatalf("only %d of %d tasks work: %+v", w.up(), w.service.Spec.Replicas, w.tasks)
			}
		})
		want := warrenv1.UpdateState_UPDATE_STATE_COMPLETED
		if w.broken[2] {
			want = warrenv1.UpdateState_UPDATE_STATE_PAUSED
		}
		if w.broken[2] && w.service.Spec.Update.FailureAction == warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK {
			want = warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK
			if w.up() != int(w.service.Spec.Replicas) {
				t.Fatalf("only %d tasks work after the rollback", w.up())
			}
		}
		if w.update.GetState() != want {
			t.Fatalf("the update is %v: %s", w.update.GetState(), w.update.GetMessage())
		}
	})
}

func TestADeletedServiceWaitsForItsVolumes(t *testing.T) {
	w := newPlay(1, stopFirst)
	w.service.DeletedAt = timestamppb.Now()
	w.tasks = []task{{id: "t", slot: 1, incarnation: 1, specVersion: 1, desired: stopped, held: true,
		status: &warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_STOPPED}}}
	if p := makePlan(&w.world); !p.empty() {
		t.Errorf("while a volume is held: %+v", p)
	}
	w.tasks[0].held = false
	if p := makePlan(&w.world); !p.remove {
		t.Errorf("after its release: %+v", p)
	}
}
