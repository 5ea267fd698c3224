package service

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// updated is a play of a service of three tasks with a new spec, which may be
// broken.
func updated(t *testing.T, order warrenv1.UpdateOrder, action warrenv1.FailureAction, broken bool) *play {
	t.Helper()
	w := newPlay(3, order)
	w.service.Spec.Update.FailureAction = action
	w.settle(t, func() {})
	w.change()
	w.broken[2] = broken
	return w
}

func (w *play) of(version uint64) (n int) {
	for _, x := range w.tasks {
		if x.specVersion == version && !x.over() {
			n++
		}
	}
	return n
}

func TestWhatAFailureActionSaysIsDone(t *testing.T) {
	for _, c := range []struct {
		action   warrenv1.FailureAction
		state    warrenv1.UpdateState
		old, new int
		message  string
	}{
		{warrenv1.FailureAction_FAILURE_ACTION_UNSPECIFIED, warrenv1.UpdateState_UPDATE_STATE_PAUSED, 2, 1, "web-task-1: exited with code 1"},
		{warrenv1.FailureAction_FAILURE_ACTION_PAUSE, warrenv1.UpdateState_UPDATE_STATE_PAUSED, 2, 1, "web-task-1: exited with code 1"},
		{warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK, warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK, 3, 0, "web-task-1: exited with code 1"},
		{warrenv1.FailureAction_FAILURE_ACTION_CONTINUE, warrenv1.UpdateState_UPDATE_STATE_COMPLETED, 0, 3, "3 of 3 tasks failed"},
	} {
		w := updated(t, stopFirst, c.action, true)
		w.settle(t, func() {})
		if got := w.update; got.GetState() != c.state || got.GetMessage() != c.message || w.of(1) != c.old || w.of(2) != c.new {
			t.Errorf("%v: the update is %v (%s) with %d old tasks and %d new ones", c.action, got.GetState(), got.GetMessage(), w.of(1), w.of(2))
		}
	}
}

func TestARollbackKeepsTheTasksThatWork(t *testing.T) {
	w := updated(t, startFirst, warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK, true)
	w.settle(t, func() {
		if w.up() != 3 {
			t.Fatalf("only %d tasks work: %+v", w.up(), w.tasks)
		}
	})
	if w.made != 4 {
		t.Errorf("%d tasks were made; three and one that failed are enough", w.made)
	}
}

func TestARollbackThatFailsTooIsPaused(t *testing.T) {
	w := updated(t, stopFirst, warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK, true)
	w.step() // the first of the old ones is stopped
	w.broken[1] = true
	w.settle(t, func() {})
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED {
		t.Errorf("the update is %v: %s", w.update.GetState(), w.update.GetMessage())
	}
}

func TestDelayAndMonitorAreKept(t *testing.T) {
	w := updated(t, startFirst, 0, false)
	w.service.Spec.Update.Delay = durationpb.New(20 * time.Second)
	w.service.Spec.Update.Monitor = durationpb.New(7 * time.Second)
	start := w.now
	var replaced []time.Duration
	old := 3
	w.settle(t, func() {
		if n := w.of(1); n < old {
			old = n
			replaced = append(replaced, w.now.Sub(start))
		}
	})
	if len(replaced) != 3 || replaced[0] != 7*time.Second || replaced[1] != 34*time.Second || replaced[2] != 61*time.Second {
		t.Errorf("old tasks were replaced after %v", replaced)
	}
}

func TestATaskThatWasRestartedIsNoSuccess(t *testing.T) {
	w := updated(t, startFirst, 0, false)
	for w.of(2) == 0 || !spec.Up(w.tasks[len(w.tasks)-1].status) {
		w.step()
	}
	fresh := w.tasks[len(w.tasks)-1].status
	fresh.Restarts, fresh.ExitReason = 1, "killed by SIGSEGV"
	w.settle(t, func() {})
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_PAUSED || !strings.Contains(w.update.GetMessage(), "killed by SIGSEGV") {
		t.Errorf("the update is %v: %s", w.update.GetState(), w.update.GetMessage())
	}
}

// Asking again makes new tasks in place of those that failed.
func TestAPausedUpdateGoesOnWhenAskedAgain(t *testing.T) {
	w := updated(t, stopFirst, 0, true)
	w.settle(t, func() {})
	w.broken[2] = false
	w.now = w.now.Add(time.Minute)
	made := w.made
	w.service.Rollout++
	w.settle(t, func() {})
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_COMPLETED || w.of(2) != 3 || w.made != made+3 {
		t.Errorf("the update is %v with %d new tasks, %d made", w.update.GetState(), w.of(2), w.made-made)
	}
}

func TestTasksThatDoNotWorkAreReplacedFirst(t *testing.T) {
	w := newPlay(3, stopFirst)
	w.settle(t, func() {})
	w.tasks[2].status.State = warrenv1.TaskState_TASK_STATE_BACKOFF
	w.change()
	if p := makePlan(&w.world); len(p.stop) != 1 || p.stop[0].id != w.tasks[2].id {
		t.Errorf("stops %v, want %s", p.stop, w.tasks[2].id)
	}
}

func TestAStoppedServiceIsUpdatedAtOnce(t *testing.T) {
	w := newPlay(3, stopFirst)
	w.service.Stopped = true
	w.change()
	w.settle(t, func() {})
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_COMPLETED || w.made != 0 {
		t.Errorf("the update is %v, %d tasks were made", w.update.GetState(), w.made)
	}
}

// Whatever becomes of the task that failed: a person decides.
func TestAPausedUpdateDoesNotGoOnByItself(t *testing.T) {
	w := updated(t, stopFirst, 0, true)
	w.settle(t, func() {})
	w.broken[2] = false
	w.settle(t, func() {})
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_PAUSED || w.of(1) != 2 || w.up() != 3 {
		t.Errorf("the update is %v, %d old tasks are left, %d work", w.update.GetState(), w.of(1), w.up())
	}
}

func TestARollbackLeadsToTheLastSpecThatWorked(t *testing.T) {
	w := updated(t, stopFirst, 0, true)
	w.settle(t, func() {})
	w.service.Spec.Update.FailureAction = warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK
	w.change()
	w.broken[3] = true
	w.settle(t, func() {})
	if w.update.GetState() != warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK || w.of(1) != 3 {
		t.Errorf("the update is %v (%s), %d tasks are of the first spec", w.update.GetState(), w.update.GetMessage(), w.of(1))
	}
}

// A task that waits for a node has no trouble of its own, and would hold an
// update for ever.
func TestATaskThatNeverComesUpFails(t *testing.T) {
	for action, want := range map[warrenv1.FailureAction]warrenv1.UpdateState{
		warrenv1.FailureAction_FAILURE_ACTION_PAUSE:    warrenv1.UpdateState_UPDATE_STATE_PAUSED,
		warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK: warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK,
		warrenv1.FailureAction_FAILURE_ACTION_CONTINUE: warrenv1.UpdateState_UPDATE_STATE_COMPLETED,
	} {
		w := updated(t, startFirst, action, false)
		w.service.Spec.Update.Deadline = durationpb.New(time.Minute)
		w.waits = map[uint64]bool{2: true}
		began := w.now
		w.settle(t, func() {})
		if took := w.now.Sub(began); w.update.GetState() != want || took < time.Minute {
			t.Errorf("%v: %v after %v: %s", action, w.update.GetState(), took, w.update.GetMessage())
		}
		if said := w.update.GetMessage(); action != warrenv1.FailureAction_FAILURE_ACTION_CONTINUE && !strings.Contains(said, "not up within 1m0s: no node is ready") {
			t.Errorf("%v: %q", action, said)
		}
	}
}
