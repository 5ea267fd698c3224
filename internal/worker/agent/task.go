package agent

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// task is one assigned task. Its fields belong to its goroutine, but for the
// order and the status.
type task struct {
	order[*warrenv1.Task]
	a   *Agent
	id  string
	log *slog.Logger
	// status is as it was last reported; it is replaced, never changed.
	status   atomic.Pointer[warrenv1.TaskStatus]
	progress progress
	// reconciled: what the runtime has was compared with the record.
	reconciled bool
	// over is closed when the task's last container is gone.
	over  chan struct{}
	ready readied
	// lacksImage: the last try ended at the image; hurry, when images came in,
	// then cuts the wait short.
	lacksImage bool
	// stale counts failures in a row to give a running container new secrets.
	stale int
	hurry atomic.Bool
}

func newTask(a *Agent, want *warrenv1.Task) *task {
	id := want.GetMeta().GetId()
	t := &task{order: newOrder(want), a: a, id: id, over: make(chan struct{}), log: a.log.With("task", want.GetMeta().GetName(), "id", id)}
	status, p, err := a.state.record(id)
	if err != nil {
		t.log.Error("what was done for the task cannot be read and is looked up instead", "error", err)
	}
	t.progress = p
	if a.rebooted {
		status.Address = "" // it went with the machine's memory
	}
	t.status.Store(status)
	if spec.Terminal(status.GetState()) {
		close(t.over)
	}
	if s := status.GetState(); s != warrenv1.TaskState_TASK_STATE_UNSPECIFIED && !spec.Terminal(s) {
		for _, pin := range want.GetVolumes() {
			a.holders.add(pin.GetVolumeId(), id)
		}
	}
	return t
}

// run steps the task until it is over or ctx ends.
func (t *task) run(ctx context.Context) { t.follow(ctx, t.step) }

// step does the next thing for the task.
func (t *task) step(ctx context.Context) outcome {
	want, removed := t.current()
	stop := removed || want.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED
	over := spec.Terminal(t.status.Load().GetState())
	switch {
	case over && removed:
		return t.forget()
	case over:
		return outcome{verdict: wait}
	case stop:
		return t.stop(ctx, want)
	case t.status.Load().GetState() == warrenv1.TaskState_TASK_STATE_FINISHED:
		return t.rest(ctx, want)
	}
	if err := t.dropSecrets(want); err != nil {
		t.log.Error("a secret that was taken from the task is still there; trying again", "error", err)
		return retryAfter(time.Second)
	}
	switch {
	case time.Now().Before(t.progress.RetryAt) && !(t.lacksImage && t.hurry.Swap(false)):
		return retryAfter(time.Until(t.progress.RetryAt))
	case !t.reconciled:
		return t.reconcile(ctx, want)
	case t.progress.Running && t.progress.Unhealthy != "":
		return t.replace(ctx, want)
	case t.progress.Running:
		return t.watch(ctx, want, t.freshen(ctx, want))
	default:
		return t.start(ctx, want)
	}
}

// report changes the status, and tells the manager when it is another one.
func (t *task) report(change func(*warrenv1.TaskStatus)) {
	old := t.status.Load()
	status := proto.Clone(old).(*warrenv1.TaskStatus)
	change(status)
	if status.GetState() != warrenv1.TaskState_TASK_STATE_RUNNING {
		status.Health, status.HealthMessage = warrenv1.Health_HEALTH_UNSPECIFIED, ""
		if status.GetState() != warrenv1.TaskState_TASK_STATE_STOPPING {
			status.Secrets = nil
		}
	}
	if proto.Equal(old, status) {
		return
	}
	if old.GetState() != status.GetState() {
		// Never back in time, whatever the clock does.
		since := time.Now()
		if before := old.GetStateSince(); before != nil && !since.After(before.AsTime()) {
			since = before.AsTime().Add(time.Microsecond)
		}
		status.StateSince = timestamppb.New(since)
	}
	t.status.Store(status)
	if spec.Terminal(status.GetState()) && !spec.Terminal(old.GetState()) {
		close(t.over)
	}
	if callable(old) != callable(status) || old.GetAddress() != status.GetAddress() {
		t.a.announce()
	}
	// Nobody wants to hear of a task that is assigned no longer.
	if _, removed := t.current(); !removed {
		t.a.outbox.task(status)
	}
}

// state reports a new state, and why.
func (t *task) state(state warrenv1.TaskState, message string) {
	t.report(func(s *warrenv1.TaskStatus) { s.State, s.Message = state, message })
}

// repeat reports the status once more, to a manager that may not have it.
func (t *task) repeat() {
	if s := t.status.Load(); s.GetState() != warrenv1.TaskState_TASK_STATE_UNSPECIFIED {
		t.a.outbox.task(s)
	}
	t.poke()
}

// save writes the record down. What it says is true already and would be found
// out again, so a failure is not the task's.
func (t *task) save() {
	if err := t.a.state.save(t.status.Load(), t.progress); err != nil {
		t.log.Error("the task's record was not written down", "error", err)
	}
}

// fail waits with growing patience for another try, and says why.
func (t *task) fail(ctx context.Context, err error) outcome {
	if ctx.Err() != nil {
		return outcome{verdict: done} // interrupted, not failed
	}
	t.progress.Failures++
	wait := backoff(t.progress.Failures)
	t.progress.RetryAt = time.Now().Add(wait)
	t.log.Warn("task is tried again later", "error", err, "retry_in", wait)
	t.state(warrenv1.TaskState_TASK_STATE_BACKOFF, err.Error())
	t.save()
	return outcome{verdict: done} // the next step waits
}

// forget ends a task that is over and assigned no longer.
func (t *task) forget() outcome {
	if err := t.a.state.forgetTask(t.id); err != nil {
		t.log.Error("the task's record was not removed", "error", err)
	}
	if err := os.RemoveAll(t.a.logDir(t.id)); err != nil {
		t.log.Error("the task's logs were not removed", "error", err)
	}
	t.a.mu.Lock()
	want, removed := t.current()
	if removed {
		delete(t.a.tasks, t.id)
	}
	t.a.mu.Unlock()
	if removed {
		return outcome{verdict: dead}
	}
	// Assigned again meanwhile. What is over stays over.
	if err := t.a.state.assign([]*warrenv1.Task{want}, nil); err != nil {
		t.log.Error("the assignment was not written down", "error", err)
	}
	t.save()
	return outcome{verdict: done}
}
