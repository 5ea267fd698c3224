package view

import (
	"cmp"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Service is what a person wants to run, and how far that is.
type Service struct {
	Meta
	Container
	State   string `json:"state"`
	Message string `json:"message,omitempty"`
	// Health sums up those of the tasks that run; empty when nothing is checked.
	Health string `json:"health"`
	// Mode is replicated, or global: then Replicas counts the nodes.
	Mode     string `json:"mode"`
	Replicas uint32 `json:"replicas"`
	Running  uint32 `json:"running"`
	// Constraints are what its nodes must be like.
	Constraints []string `json:"constraints"`
	// Revision counts the specs that it had; Version is the one that brought the
	// container as it is.
	Revision uint64 `json:"revision"`
	Version  uint64 `json:"spec_version"`
	// Update is the last one; absent before the first.
	Update      *Update     `json:"update,omitempty"`
	UpdateRules UpdateRules `json:"update_rules"`
	Tasks       []Task      `json:"tasks"`
	Warnings    []string    `json:"warnings"`
}

// NewService shows a service.
func NewService(s *warrenv1.Service) Service {
	out := Service{
		Meta:        newMeta(s.GetMeta()),
		Container:   newContainer(s.GetSpec().GetContainer()),
		Message:     s.GetStoppedReason(),
		Mode:        spec.ModeName(s.GetSpec().GetMode()),
		Replicas:    spec.WantedTasks(s),
		Running:     s.GetRunning(),
		Constraints: append([]string{}, s.GetSpec().GetConstraints()...),
		Revision:    max(s.GetRevision(), 1),
		Version:     s.GetSpecVersion(),
		Update:      newUpdate(s.GetUpdate()),
		UpdateRules: newUpdateRules(s.GetSpec(), cmp.Or(s.GetUpdate().GetOrder(), s.GetSpec().GetUpdate().GetOrder())),
		Tasks:       All(s.GetTasks(), NewTask),
		Warnings:    append([]string{}, s.GetWarnings()...),
	}
	out.Health = healthOf(s)
	switch {
	case s.GetDeletedAt() != nil:
		out.State = "deleting"
	case s.GetStopped():
		out.State = "stopped"
	case s.GetUpdate().GetState() == warrenv1.UpdateState_UPDATE_STATE_UPDATING:
		out.State = "updating"
	case s.GetUpdate().GetState() == warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK:
		out.State = "rolling-back"
	case out.Running >= out.Replicas:
		out.State = "running"
	case s.GetFinished() > 0 && out.Running+s.GetFinished() >= out.Replicas:
		out.State = "finished"
	default:
		out.State = "pending"
	}
	return out
}

// Ratio is how many of the wanted tasks run: 1/1.
func (s Service) Ratio() string { return fmt.Sprintf("%d/%d", s.Running, s.Replicas) }

// healthOf is what all tasks agree on, or how many of them are healthy.
func healthOf(s *warrenv1.Service) string {
	switch checked := s.GetChecked(); checked {
	case 0:
		return ""
	case s.GetHealthy():
		return "healthy"
	case s.GetUnhealthy():
		return "unhealthy"
	default:
		if s.GetHealthy()+s.GetUnhealthy() == 0 {
			return "starting"
		}
		return fmt.Sprintf("%d/%d healthy", s.GetHealthy(), checked)
	}
}
