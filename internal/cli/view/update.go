package view

import (
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// UpdateRules are how the tasks of a service are replaced.
type UpdateRules struct {
	Parallelism   int     `json:"parallelism"`
	DelaySeconds  float64 `json:"delay_seconds"`
	Order         string  `json:"order,omitempty"`
	FailureAction string  `json:"failure_action"`
	// MonitorSeconds is for how long a new task must be up.
	MonitorSeconds float64 `json:"monitor_seconds"`
	// DeadlineSeconds is within what time it must be up.
	DeadlineSeconds float64 `json:"deadline_seconds"`
	History         int     `json:"history"`
}

func newUpdateRules(s *warrenv1.ServiceSpec, order warrenv1.UpdateOrder) UpdateRules {
	r := UpdateRules{
		Parallelism: spec.Parallelism(s), DelaySeconds: s.GetUpdate().GetDelay().AsDuration().Seconds(),
		FailureAction: spec.FailureActionName(s.GetUpdate().GetFailureAction()), MonitorSeconds: spec.Monitor(s).Seconds(),
		DeadlineSeconds: spec.Deadline(s).Seconds(), History: spec.History(s),
	}
	if s.GetUpdate() != nil && s.Update.Parallelism != nil {
		r.Parallelism = int(s.GetUpdate().GetParallelism())
	}
	if order != warrenv1.UpdateOrder_UPDATE_ORDER_UNSPECIFIED {
		r.Order = spec.UpdateOrderName(order)
	}
	return r
}

// String sums the rules up: 1 at a time, stop-first, pause on failure.
func (r UpdateRules) String() string {
	s := "all at once"
	if r.Parallelism > 0 {
		s = fmt.Sprintf("%d at a time", r.Parallelism)
	}
	if r.DelaySeconds > 0 {
		s += fmt.Sprintf(", %gs apart", r.DelaySeconds)
	}
	if r.Order != "" {
		s += ", " + r.Order
	}
	return fmt.Sprintf("%s, a success after %gs, %s on failure", s, r.MonitorSeconds, r.FailureAction)
}

// Update is how far the last update of a service is.
type Update struct {
	State        string    `json:"state"`
	Message      string    `json:"message,omitempty"`
	StartedAt    time.Time `json:"started_at,omitzero"`
	FinishedAt   time.Time `json:"finished_at,omitzero"`
	FromRevision uint64    `json:"from_revision,omitempty"`
}

func newUpdate(u *warrenv1.ServiceUpdate) *Update {
	if u == nil {
		return nil
	}
	return &Update{
		State: spec.UpdateStateName(u.GetState()), Message: u.GetMessage(), FromRevision: u.GetFromRevision(),
		StartedAt: moment(u.GetStartedAt()), FinishedAt: moment(u.GetFinishedAt()),
	}
}

// String sums it up: paused: web-task-1: exited with code 1.
func (u *Update) String() string {
	switch {
	case u == nil:
		return ""
	case u.Message == "":
		return u.State
	}
	return u.State + ": " + u.Message
}
