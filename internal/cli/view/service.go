package view

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Service is what a person wants to run, and how far that is.
type Service struct {
	Meta
	Container
	State    string   `json:"state"`
	Message  string   `json:"message,omitempty"`
	Replicas uint32   `json:"replicas"`
	Running  uint32   `json:"running"`
	Version  uint64   `json:"spec_version"`
	Tasks    []Task   `json:"tasks"`
	Warnings []string `json:"warnings"`
}

// NewService shows a service.
func NewService(s *warrenv1.Service) Service {
	out := Service{
		Meta:      newMeta(s.GetMeta()),
		Container: newContainer(s.GetSpec().GetContainer()),
		Message:   s.GetStoppedReason(),
		Replicas:  s.GetSpec().GetReplicas(),
		Running:   s.GetRunning(),
		Version:   s.GetSpecVersion(),
		Tasks:     All(s.GetTasks(), NewTask),
		Warnings:  append([]string{}, s.GetWarnings()...),
	}
	switch {
	case s.GetDeletedAt() != nil:
		out.State = "deleting"
	case s.GetStopped():
		out.State = "stopped"
	case out.Running >= out.Replicas:
		out.State = "running"
	default:
		out.State = "pending"
	}
	return out
}

// Ratio is how many of the wanted tasks run: 1/1.
func (s Service) Ratio() string { return fmt.Sprintf("%d/%d", s.Running, s.Replicas) }
