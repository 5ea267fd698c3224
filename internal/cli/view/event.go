package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Event is something that happened to an object.
type Event struct {
	Sequence  uint64    `json:"sequence"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	ID        string    `json:"id"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message,omitempty"`
}

// NewEvent shows an event.
func NewEvent(e *warrenv1.Event) Event {
	return Event{
		Sequence:  e.GetSequence(),
		Time:      moment(e.GetTime()),
		Kind:      e.GetKind(),
		Namespace: e.GetNamespace(),
		Name:      e.GetName(),
		ID:        e.GetId(),
		Reason:    e.GetReason(),
		Message:   e.GetMessage(),
	}
}
