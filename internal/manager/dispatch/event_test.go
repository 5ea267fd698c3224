package dispatch

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestWhatAStatusMeans(t *testing.T) {
	const (
		starting = warrenv1.TaskState_TASK_STATE_STARTING
		running  = warrenv1.TaskState_TASK_STATE_RUNNING
		backOff  = warrenv1.TaskState_TASK_STATE_BACKOFF
		stopped  = warrenv1.TaskState_TASK_STATE_STOPPED
	)
	status := func(s warrenv1.TaskState, message string) *warrenv1.TaskStatus {
		return &warrenv1.TaskStatus{State: s, Message: message}
	}
	ended := status(backOff, "exited with code 3; restarted after 1s")
	ended.FinishedAt = timestamppb.Now()
	healthy := status(running, "")
	healthy.Health = warrenv1.Health_HEALTH_HEALTHY
	addressed := status(running, "")
	addressed.Address = "10.0.0.2"
	for _, c := range []struct {
		name           string
		was, is        *warrenv1.TaskStatus
		reason, detail string
	}{
		{"it runs", status(starting, ""), addressed, "started", "it runs at 10.0.0.2"},
		{"it runs without a bridge", nil, status(running, ""), "started", "it runs"},
		{"nothing new", addressed, addressed, "", ""},
		{"its node tells of its end", status(running, ""), ended, "", ""},
		{"it cannot start", status(starting, ""), status(backOff, "no such image"), "failed", "no such image"},
		{"it still cannot start", status(backOff, "no such image"), status(backOff, "no such image"), "", ""},
		{"for another reason", status(backOff, "no such image"), status(backOff, "port taken"), "failed", "port taken"},
		{"it became healthy", status(running, ""), healthy, "healthy", ""},
		{"it is healthy", healthy, healthy, "", ""},
		{"it stopped", status(running, ""), status(stopped, ""), "stopped", ""},
		{"on its way", nil, status(starting, ""), "", ""},
	} {
		e := taskEvent(&warrenv1.Task{Meta: &warrenv1.Meta{Name: "web-task-1"}}, c.was, c.is)
		if e.GetReason() != c.reason || e.GetMessage() != c.detail || e != nil && e.GetName() != "web-task-1" {
			t.Errorf("%s: %v, want %q %q", c.name, e, c.reason, c.detail)
		}
	}
}
