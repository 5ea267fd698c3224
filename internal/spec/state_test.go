package spec

import (
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestStatesOnlyGrowExceptWhileATaskIsTriedAgain(t *testing.T) {
	const (
		pending   = warrenv1.TaskState_TASK_STATE_PENDING
		preparing = warrenv1.TaskState_TASK_STATE_PREPARING
		running   = warrenv1.TaskState_TASK_STATE_RUNNING
		backoff   = warrenv1.TaskState_TASK_STATE_BACKOFF
		stopping  = warrenv1.TaskState_TASK_STATE_STOPPING
		stopped   = warrenv1.TaskState_TASK_STATE_STOPPED
		lost      = warrenv1.TaskState_TASK_STATE_LOST
	)
	for _, c := range []struct {
		from, to warrenv1.TaskState
		want     bool
	}{
		{pending, running, true},
		{running, backoff, true},
		{backoff, running, true},
		{running, preparing, true},
		{running, pending, false},
		{stopping, running, false},
		{stopped, running, false},
		{stopped, stopped, true},
		{stopped, lost, true},
		{lost, stopped, false},
	} {
		if got := MayFollow(c.from, c.to); got != c.want {
			t.Errorf("%v to %v: %v", c.from, c.to, got)
		}
	}
	if Terminal(stopping) || !Terminal(stopped) || !Terminal(lost) {
		t.Error("stopped and lost are terminal, and nothing before them")
	}
	if TaskStateName(running) != "running" || TaskStateName(0) != "unknown" {
		t.Error("names of states")
	}
}
