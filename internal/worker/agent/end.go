package agent

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// ended records the end of a container that should run, and lets it be
// restarted if its policy wants that. exit is nil when nobody knows how it
// ended.
func (t *task) ended(want *warrenv1.Task, exit *runtime.Exit, reason string) outcome {
	at := time.Now()
	if exit != nil {
		at = exit.At
	}
	if at.Sub(t.status.Load().GetStartedAt().AsTime()) >= ranWell {
		t.progress.Failures, t.progress.Restarts = 0, 0
	}
	what, code := endKind(exit)
	if why := t.progress.Unhealthy; why != "" {
		// However it took the order to stop, it failed.
		what, reason, code = "unhealthy", "unhealthy: "+why, nil
	}
	t.progress.Running, t.progress.Unhealthy, t.progress.StopBy = false, "", time.Time{}
	state, message := warrenv1.TaskState_TASK_STATE_BACKOFF, ""
	policy := want.GetContainer().GetRestart()
	if spec.Restarts(policy, code, t.progress.Restarts) {
		t.progress.Failures++
		t.progress.Restarts++
		wait := backoff(t.progress.Failures)
		t.progress.RetryAt = time.Now().Add(wait)
		message = fmt.Sprintf("%s; restarted after %s", reason, wait)
	} else {
		state = warrenv1.TaskState_TASK_STATE_FINISHED
		message = fmt.Sprintf("%s; not restarted, by its restart policy %s", reason, spec.FormatRestartPolicy(policy))
	}
	t.report(func(s *warrenv1.TaskStatus) {
		s.State, s.Message = state, message
		recordEnd(s, exit, at, reason)
	})
	t.save()
	t.a.event("task", want.GetMeta(), what, "task "+want.GetMeta().GetName()+": "+message)
	return outcome{verdict: done} // the next step waits, or lets it rest
}

// endKind says what an end is to be called, and its code as spec has it.
func endKind(exit *runtime.Exit) (what string, code *int32) {
	if exit == nil {
		return "crashed", nil
	}
	number := int32(exit.Code)
	if number == 0 {
		return "exited", &number
	}
	return "crashed", &number
}

func recordEnd(s *warrenv1.TaskStatus, exit *runtime.Exit, at time.Time, reason string) {
	s.FinishedAt, s.ExitReason, s.ExitCode = timestamppb.New(at), reason, nil
	if exit != nil {
		code := int32(exit.Code)
		s.ExitCode = &code
	}
}

// rest gives back on this node what a task held that is not started again. To
// others it still holds its volumes, until it is stopped.
func (t *task) rest(ctx context.Context, want *warrenv1.Task) outcome {
	if t.progress.Resting {
		return outcome{verdict: wait}
	}
	if err := t.release(ctx, want); err != nil {
		if ctx.Err() != nil {
			return outcome{verdict: done}
		}
		t.log.Error("what a finished task held is still there; trying again", "error", err)
		return retryAfter(time.Second)
	}
	t.progress = progress{Resting: true}
	t.save()
	return outcome{verdict: wait}
}
