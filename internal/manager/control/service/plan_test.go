package service

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	running = warrenv1.DesiredState_DESIRED_STATE_RUNNING
	stopped = warrenv1.DesiredState_DESIRED_STATE_STOPPED
)

// world is a service and its tasks, without a store: what the plan asks for
// happens at once, what nodes report happens when the test says so.
type world struct {
	service *warrenv1.Service
	tasks   []task
	made    int
	removed bool
}

func newWorld(replicas uint32) *world {
	return &world{service: &warrenv1.Service{SpecVersion: 1, Spec: &warrenv1.ServiceSpec{Replicas: replicas}}}
}

func (w *world) act(p plan) {
	for i := range w.tasks {
		if slices.Contains(p.stop, w.tasks[i].id) {
			w.tasks[i].desired = stopped
		}
	}
	for _, s := range p.create {
		w.made++
		w.tasks = append(w.tasks, task{
			id: fmt.Sprint("t", w.made), slot: s.slot, incarnation: s.incarnation,
			specVersion: w.service.SpecVersion, desired: running, state: warrenv1.TaskState_TASK_STATE_PENDING,
		})
	}
	w.removed = w.removed || p.remove
}

// settle lets nodes do what is asked of them until nothing changes.
func (w *world) settle(t *rapid.T) {
	for range 100 {
		p := makePlan(w.service, w.tasks)
		w.act(p)
		moved := false
		for i := range w.tasks {
			if w.tasks[i].desired == stopped && !w.tasks[i].over() {
				w.tasks[i].state, w.tasks[i].held, moved = warrenv1.TaskState_TASK_STATE_STOPPED, false, true
			}
		}
		if p.empty() && !moved || w.removed {
			return
		}
	}
	t.Fatalf("never settles: %+v", w.tasks)
}

func TestAnyHistoryEndsAsTheServiceWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.Uint32Range(0, 4).Draw(t, "replicas"))
		t.Repeat(map[string]func(*rapid.T){
			"plan":   func(t *rapid.T) { w.act(makePlan(w.service, w.tasks)) },
			"scale":  func(t *rapid.T) { w.service.Spec.Replicas = rapid.Uint32Range(0, 4).Draw(t, "replicas") },
			"stop":   func(t *rapid.T) { w.service.Stopped = true },
			"start":  func(t *rapid.T) { w.service.Stopped = false },
			"update": func(t *rapid.T) { w.service.SpecVersion++ },
			"report": func(t *rapid.T) {
				if len(w.tasks) == 0 {
					t.Skip("no task yet")
				}
				x := &w.tasks[rapid.IntRange(0, len(w.tasks)-1).Draw(t, "task")]
				if x.over() {
					x.held = false
					return
				}
				x.state = rapid.SampledFrom([]warrenv1.TaskState{
					warrenv1.TaskState_TASK_STATE_RUNNING, warrenv1.TaskState_TASK_STATE_BACKOFF, warrenv1.TaskState_TASK_STATE_STOPPED,
				}).Draw(t, "state")
				x.held = true
			},
			"": func(t *rapid.T) { checkSlots(t, w) },
		})
		if rapid.Bool().Draw(t, "delete") {
			w.service.DeletedAt = timestamppb.Now()
			w.settle(t)
			for i := range w.tasks {
				w.tasks[i].held = false
			}
			w.settle(t)
			if !w.removed {
				t.Fatalf("the deleted service stays: %+v", w.tasks)
			}
			return
		}
		w.settle(t)
		checkWanted(t, w)
	})
}

// checkSlots: two tasks of one slot must never be there at once, and
// incarnations count up.
func checkSlots(t *rapid.T, w *world) {
	live, seen := map[uint32]int{}, map[string]bool{}
	for _, x := range w.tasks {
		if !x.over() {
			live[x.slot]++
		}
		if live[x.slot] > 1 {
			t.Fatalf("slot %d has two tasks: %+v", x.slot, w.tasks)
		}
		if key := fmt.Sprint(x.slot, ".", x.incarnation); seen[key] {
			t.Fatalf("incarnation %s twice: %+v", key, w.tasks)
		} else {
			seen[key] = true
		}
	}
}

func checkWanted(t *rapid.T, w *world) {
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
	for i := uint32(1); i <= w.service.Spec.Replicas && !w.service.Stopped; i++ {
		want = append(want, i)
	}
	if !slices.Equal(slots, want) {
		t.Fatalf("slots %v have a task, want %v", slots, want)
	}
}

func TestADeletedServiceWaitsForItsVolumes(t *testing.T) {
	s := &warrenv1.Service{SpecVersion: 1, Spec: &warrenv1.ServiceSpec{Replicas: 1}, DeletedAt: timestamppb.Now()}
	over := task{id: "t", slot: 1, incarnation: 1, specVersion: 1, desired: stopped, state: warrenv1.TaskState_TASK_STATE_STOPPED, held: true}
	if p := makePlan(s, []task{over}); !p.empty() {
		t.Errorf("while a volume is held: %+v", p)
	}
	over.held = false
	if p := makePlan(s, []task{over}); !p.remove {
		t.Errorf("after its release: %+v", p)
	}
}
