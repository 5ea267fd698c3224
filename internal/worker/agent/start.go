package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/network"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// hook makes one thing true that a task's container needs, and undoes it. Both
// are idempotent: prepare is called before every start, also in place, and
// undo also for what was never prepared.
type hook interface {
	prepare(ctx context.Context, t *task, want *warrenv1.Task) error
	undo(ctx context.Context, t *task, want *warrenv1.Task) error
}

// hooks are done in this order, those of a row side by side, and undone in
// reverse. No value of a secret is fetched for an image that is not there.
var hooks = [][]hook{
	{imageHook{}},
	{volumeHook{}, secretHook{}, networkHook{}},
	{containerHook{}},
}

// readied is what the hooks made; each field is written by one hook only.
type readied struct {
	image      runtime.Image
	volumes    []runtime.Mount
	identities map[string]identity
	secrets    *runtime.Mount
	delivered  []delivered
	endpoint   network.Endpoint
}

// waiting is returned by a hook that can go on only when something else has
// changed; its text says what.
type waiting string

func (w waiting) Error() string { return string(w) }

// start makes everything ready and runs the container.
func (t *task) start(ctx context.Context, want *warrenv1.Task) outcome {
	if t.status.Load().GetState() != warrenv1.TaskState_TASK_STATE_BACKOFF {
		t.state(warrenv1.TaskState_TASK_STATE_PREPARING, "")
	}
	for i, row := range hooks {
		if i == len(hooks)-1 {
			t.state(warrenv1.TaskState_TASK_STATE_STARTING, "")
		}
		err := t.prepare(ctx, row, want)
		var what waiting
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return outcome{verdict: done}
		case errors.As(err, &what):
			t.state(warrenv1.TaskState_TASK_STATE_PREPARING, what.Error())
			return outcome{verdict: wait}
		default:
			return t.fail(ctx, err)
		}
	}
	t.started()
	return outcome{verdict: done}
}

// prepare does one row of hooks side by side.
func (t *task) prepare(ctx context.Context, row []hook, want *warrenv1.Task) error {
	errs := make([]error, len(row))
	var group sync.WaitGroup
	for i, h := range row[1:] {
		group.Go(func() { errs[i+1] = t.timed(ctx, h, want) })
	}
	errs[0] = t.timed(ctx, row[0], want)
	group.Wait()
	t.progress.Secrets = t.ready.delivered
	return errors.Join(errs...)
}

func (t *task) timed(ctx context.Context, h hook, want *warrenv1.Task) error {
	began := time.Now()
	err := h.prepare(ctx, t, want)
	t.log.Debug("prepared", "what", fmt.Sprintf("%T", h), "took", time.Since(began), "error", err)
	return err
}

// started says that the container runs.
func (t *task) started() {
	t.progress.Running = true
	t.progress.Volumes = t.ready.identities
	t.report(func(s *warrenv1.TaskStatus) {
		if s.StartedAt != nil {
			s.Restarts++
		}
		s.State, s.Message = warrenv1.TaskState_TASK_STATE_RUNNING, ""
		s.StartedAt = timestamppb.New(time.Now())
		s.ImageDigest = t.ready.image.Digest
		s.Address = ""
		if t.ready.endpoint.Address.IsValid() {
			s.Address = t.ready.endpoint.Address.String()
		}
	})
	t.save()
	for id := range t.progress.Volumes {
		if err := t.a.state.setMounted(id); err != nil {
			t.log.Error("that the volume was mounted was not written down", "volume", id, "error", err)
		}
	}
}

// watch waits for the end of the container's process.
func (t *task) watch(ctx context.Context, want *warrenv1.Task) outcome {
	exit, err := t.a.cfg.Runtime.Wait(ctx, t.id)
	switch {
	case ctx.Err() != nil:
		return outcome{verdict: done}
	case errors.Is(err, runtime.ErrNotFound):
		return t.ended(want, nil, removedByOthers)
	case err != nil:
		t.log.Error("waiting for the container failed; trying again", "error", err)
		return retryAfter(time.Second)
	}
	return t.ended(want, &exit, endReason(exit.Code))
}

// ended records the end of a container that should run, and lets it be
// restarted. exit is nil when nobody knows how it ended.
func (t *task) ended(want *warrenv1.Task, exit *runtime.Exit, reason string) outcome {
	at := time.Now()
	if exit != nil {
		at = exit.At
	}
	if at.Sub(t.status.Load().GetStartedAt().AsTime()) >= ranWell {
		t.progress.Failures = 0
	}
	t.progress.Failures++
	wait := backoff(t.progress.Failures)
	t.progress.Running = false
	t.progress.RetryAt = time.Now().Add(wait)
	message := fmt.Sprintf("%s; restarted after %s", reason, wait)
	t.report(func(s *warrenv1.TaskStatus) {
		s.State, s.Message = warrenv1.TaskState_TASK_STATE_BACKOFF, message
		recordEnd(s, exit, at, reason)
	})
	t.save()
	what := "crashed"
	if exit != nil && exit.Code == 0 {
		what = "exited"
	}
	t.a.event("task", want.GetMeta(), what, "task "+want.GetMeta().GetName()+": "+message)
	return outcome{verdict: done} // the next step waits
}

func recordEnd(s *warrenv1.TaskStatus, exit *runtime.Exit, at time.Time, reason string) {
	s.FinishedAt, s.ExitReason, s.ExitCode = timestamppb.New(at), reason, nil
	if exit != nil {
		code := int32(exit.Code)
		s.ExitCode = &code
	}
}
