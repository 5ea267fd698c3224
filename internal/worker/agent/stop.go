package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	// stopTimeout is from the image's stop signal to SIGKILL when the spec
	// says nothing.
	stopTimeout = 10 * time.Second
	// drainTime is from when nobody is led to a task any more to its stop
	// signal: for calls that were under way to it, or not accepted yet.
	drainTime = 200 * time.Millisecond
	// killLimit is how long the kernel may take to end a killed process.
	killLimit = 30 * time.Second
)

// stop ends the container and releases what the task held, and only then says
// that it is stopped: others wait for that before they touch its volumes.
func (t *task) stop(ctx context.Context, want *warrenv1.Task) outcome {
	called := callable(t.status.Load())
	t.state(warrenv1.TaskState_TASK_STATE_STOPPING, "")
	if called && t.a.standIn(want) {
		sleep(ctx, drainTime)
	}
	exit, err := t.halt(ctx, want)
	if err == nil {
		t.recordStop(want, exit)
		err = t.release(ctx, want)
	}
	switch {
	case ctx.Err() != nil:
		return outcome{verdict: done}
	case err != nil:
		t.progress.Failures++
		t.state(warrenv1.TaskState_TASK_STATE_STOPPING, err.Error())
		t.save()
		t.log.Error("the task is not stopped; trying again", "error", err)
		return retryAfter(backoff(t.progress.Failures))
	}
	t.progress = progress{}
	t.state(warrenv1.TaskState_TASK_STATE_STOPPED, "")
	t.save()
	t.a.released()
	return outcome{verdict: done}
}

// recordStop records the end of a container that ran until now; an end that
// was recorded before stays as it was.
func (t *task) recordStop(want *warrenv1.Task, exit *runtime.Exit) {
	if !t.progress.Running && !t.unrecorded(exit) {
		return
	}
	t.progress.Running = false
	t.report(func(s *warrenv1.TaskStatus) {
		if exit == nil {
			recordEnd(s, nil, time.Now(), removedByOthers)
			return
		}
		recordEnd(s, exit, exit.At, endReason(*exit, want))
	})
}

// halt ends the container's process: its image's stop signal, SIGTERM as a
// rule, and SIGKILL when its time is over. It returns nil when there is no container or no process ever ran. The
// time is kept through interruptions and restarts of this program.
func (t *task) halt(ctx context.Context, want *warrenv1.Task) (*runtime.Exit, error) {
	status, err := t.a.cfg.Runtime.Status(ctx, t.id)
	if errors.Is(err, runtime.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the container: %w", err)
	}
	if !status.Running {
		return status.Exit, nil
	}
	if t.progress.StopBy.IsZero() {
		t.progress.StopBy = time.Now().Add(stopTimeoutOf(want))
		if err := t.a.cfg.Runtime.Signal(ctx, t.id, status.StopSignal); err != nil {
			t.log.Warn("the signal to stop was not delivered", "signal", status.StopSignal, "error", err)
		}
		t.save()
	}
	patience, cancel := context.WithDeadline(ctx, t.progress.StopBy)
	defer cancel()
	exit, err := t.a.cfg.Runtime.Wait(patience, t.id)
	if err == nil {
		return &exit, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return t.kill(ctx)
}

func (t *task) kill(ctx context.Context) (*runtime.Exit, error) {
	if err := t.a.cfg.Runtime.Signal(ctx, t.id, syscall.SIGKILL); err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return nil, fmt.Errorf("kill the container: %w", err)
	}
	patience, cancel := context.WithTimeout(ctx, killLimit)
	defer cancel()
	exit, err := t.a.cfg.Runtime.Wait(patience, t.id)
	switch {
	case errors.Is(err, runtime.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the container does not end after SIGKILL: %w", err)
	}
	return &exit, nil
}

func stopTimeoutOf(want *warrenv1.Task) time.Duration {
	if d := want.GetContainer().GetStopTimeout(); d != nil {
		return d.AsDuration()
	}
	return stopTimeout
}

// release undoes all hooks in reverse; the first that fails keeps what was
// before it.
func (t *task) release(ctx context.Context, want *warrenv1.Task) error {
	for _, row := range slices.Backward(hooks) {
		for _, h := range slices.Backward(row) {
			if err := h.undo(ctx, t, want); err != nil {
				return err
			}
		}
	}
	t.ready = readied{}
	return nil
}
