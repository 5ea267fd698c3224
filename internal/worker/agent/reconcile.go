package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const removedByOthers = "its container was removed by somebody else"

// reconcile compares, once after the program's start, what the runtime has
// with what was written down, and goes on from there.
func (t *task) reconcile(ctx context.Context, want *warrenv1.Task) outcome {
	status, err := t.a.cfg.Runtime.Status(ctx, t.id)
	missing := errors.Is(err, runtime.ErrNotFound)
	if err != nil && !missing {
		return t.fail(ctx, fmt.Errorf("look at the container: %w", err))
	}
	switch {
	case t.rebooted():
		return t.anew(ctx, want, nil, "the machine restarted")
	case !missing && status.Running:
		return t.reattach(ctx, want)
	}
	t.reconciled = true
	switch {
	case t.unrecorded(status.Exit):
		return t.ended(want, status.Exit, endReason(*status.Exit, want))
	case t.progress.Running:
		return t.ended(want, nil, removedByOthers)
	}
	// New, or its last end is known.
	return outcome{verdict: done}
}

// unrecorded: the container ended while this program was not running, or was
// killed before it wrote the end down.
func (t *task) unrecorded(exit *runtime.Exit) bool {
	if exit == nil {
		return false
	}
	finished := t.status.Load().GetFinishedAt()
	return t.progress.Running || finished == nil || exit.At.After(finished.AsTime())
}

// rebooted: the record says that the task was under way, but all progress of
// it was dropped with what had been mounted and running.
func (t *task) rebooted() bool {
	return t.a.rebooted && t.status.Load().GetState() != warrenv1.TaskState_TASK_STATE_UNSPECIFIED
}

// reattach takes up a container that still runs, if the volumes it has mounted
// are still the ones at their paths.
func (t *task) reattach(ctx context.Context, want *warrenv1.Task) outcome {
	if changed := t.changedVolume(ctx, want); changed != "" {
		return t.recreate(ctx, want, changed)
	}
	t.log.Info("the container still runs and is taken up again")
	t.reconciled = true
	t.progress.Running = true
	t.state(warrenv1.TaskState_TASK_STATE_RUNNING, "")
	t.save()
	return outcome{verdict: done}
}

// recreate replaces a container that has another directory mounted than the
// one which is now at its volume's path.
func (t *task) recreate(ctx context.Context, want *warrenv1.Task, volume string) outcome {
	why := fmt.Sprintf("the directory of volume %s was replaced under it", volume)
	t.state(warrenv1.TaskState_TASK_STATE_STARTING, why)
	exit, err := t.halt(ctx, want)
	if err != nil {
		return t.fail(ctx, err)
	}
	out := t.anew(ctx, want, exit, why)
	if t.reconciled {
		t.a.event("task", want.GetMeta(), "recreated", fmt.Sprintf("task %s was recreated: %s", want.GetMeta().GetName(), why))
	}
	return out
}

// anew removes whatever there may be of the task, so that it begins from
// nothing, and records why the container ended if one ran.
func (t *task) anew(ctx context.Context, want *warrenv1.Task, exit *runtime.Exit, why string) outcome {
	if err := t.release(ctx, want); err != nil {
		return t.fail(ctx, fmt.Errorf("clear what is left of the task: %w", err))
	}
	t.reconciled, t.progress = true, progress{}
	if s := t.status.Load(); s.GetStartedAt() != nil {
		at := time.Now()
		if exit != nil {
			at = exit.At
		}
		t.report(func(s *warrenv1.TaskStatus) { recordEnd(s, exit, at, why) })
	}
	t.save()
	return outcome{verdict: done}
}
