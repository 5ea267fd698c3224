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
	io         []runtime.IOLimit
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
	t.ready.delivered = t.progress.Secrets
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
			if t.status.Load().GetMessage() != what.Error() {
				t.log.Info("the task waits", "why", what)
			}
			t.state(warrenv1.TaskState_TASK_STATE_PREPARING, what.Error())
			return outcome{verdict: wait}
		default:
			return t.fail(ctx, err)
		}
	}
	t.started(want)
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
func (t *task) started(want *warrenv1.Task) {
	t.progress.Running = true
	t.progress.Volumes = t.ready.identities
	t.progress.Signals, t.progress.Unmounted = nil, false
	t.report(func(s *warrenv1.TaskStatus) {
		if s.StartedAt != nil {
			s.Restarts++
		}
		s.State, s.Message = warrenv1.TaskState_TASK_STATE_RUNNING, ""
		if want.GetContainer().GetHealth() != nil {
			s.Health = warrenv1.Health_HEALTH_STARTING
		}
		s.StartedAt = timestamppb.New(time.Now())
		s.ImageDigest = t.ready.image.Digest
		t.inPlace(s)
		s.Address = ""
		if t.ready.endpoint.Address.IsValid() {
			s.Address = t.ready.endpoint.Address.String()
		}
	})
	t.save()
	for id := range t.progress.Volumes {
		t.a.mountedBy(id, want.GetMeta().GetName())
		if err := t.a.state.setMounted(id); err != nil {
			t.log.Error("that the volume was mounted was not written down", "volume", id, "error", err)
		}
	}
}
