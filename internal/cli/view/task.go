package view

import (
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Task is one placed piece of a service.
type Task struct {
	Meta
	Container
	Service     string `json:"service"`
	ServiceID   string `json:"service_id"`
	Slot        uint32 `json:"slot"`
	Incarnation uint64 `json:"incarnation"`
	// Version is the revision of its service that brought its container.
	Version uint64 `json:"spec_version"`
	Node    string `json:"node"`
	NodeID  string `json:"node_id"`
	State   string `json:"state"`
	Message string `json:"message,omitempty"`
	Desired string `json:"desired"`
	// Health is starting, healthy or unhealthy; empty when nothing is checked.
	Health        string `json:"health"`
	HealthMessage string `json:"health_message,omitempty"`
	Address       string `json:"address,omitempty"`
	ImageDigest   string `json:"image_digest,omitempty"`
	Restarts      uint32 `json:"restarts"`
	// ExitCode is the last container's; null while none has ended.
	ExitCode   *int32    `json:"exit_code"`
	ExitReason string    `json:"exit_reason,omitempty"`
	StateSince time.Time `json:"state_since,omitzero"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// NewTask shows a task.
func NewTask(t *warrenv1.Task) Task {
	status := t.GetStatus()
	if status == nil {
		status = &warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_PENDING}
	}
	out := Task{
		Meta:          newMeta(t.GetMeta()),
		Container:     newContainer(t.GetContainer()),
		Service:       t.GetService(),
		ServiceID:     t.GetServiceId(),
		Slot:          t.GetSlot(),
		Incarnation:   t.GetIncarnation(),
		Version:       t.GetSpecVersion(),
		Node:          t.GetNodeName(),
		NodeID:        t.GetNodeId(),
		State:         spec.TaskStateName(status.GetState()),
		Message:       status.GetMessage(),
		Desired:       "running",
		Health:        spec.HealthName(status.GetHealth()),
		HealthMessage: status.GetHealthMessage(),
		Address:       status.GetAddress(),
		ImageDigest:   status.GetImageDigest(),
		Restarts:      status.GetRestarts(),
		ExitCode:      status.ExitCode,
		ExitReason:    status.GetExitReason(),
		StateSince:    moment(status.GetStateSince()),
		StartedAt:     moment(status.GetStartedAt()),
		FinishedAt:    moment(status.GetFinishedAt()),
	}
	if t.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED {
		out.Desired = "stopped"
	}
	return out
}

// Exit is how the last container ended: 137, killed by SIGKILL. It is empty
// while none has.
func (t Task) Exit() string {
	switch {
	case t.ExitCode == nil:
		return ""
	case t.ExitReason == "":
		return fmt.Sprint(*t.ExitCode)
	}
	return fmt.Sprintf("%d, %s", *t.ExitCode, t.ExitReason)
}

// String sums a task up in one line: postgres-task-1 running on worker-1 at
// 10.88.0.2.
func (t Task) String() string {
	line := t.Name + " " + t.State
	if t.Health != "" {
		line += " (" + t.Health + ")"
	}
	if t.Node != "" {
		line += " on " + t.Node
	}
	if t.Address != "" {
		line += " at " + t.Address
	}
	if t.Message != "" {
		line += ": " + t.Message
	}
	if t.HealthMessage != "" {
		line += ": " + t.HealthMessage
	}
	if end := t.Exit(); end != "" {
		line += fmt.Sprintf(" (last exit: %s)", end)
	}
	return line
}
