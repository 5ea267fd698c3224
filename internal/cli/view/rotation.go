package view

import (
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Rotation is a replacement of the cluster's keys.
type Rotation struct {
	Number                   uint64    `json:"number"`
	Phase                    string    `json:"phase"`
	Reason                   string    `json:"reason"`
	Done                     uint64    `json:"done"`
	Total                    uint64    `json:"total"`
	KeyID                    string    `json:"key_id,omitempty"`
	PreviousKeyID            string    `json:"previous_key_id,omitempty"`
	NextUnlockKeyFingerprint string    `json:"next_unlock_key_fingerprint,omitempty"`
	Unreadable               []string  `json:"unreadable,omitempty"`
	Message                  string    `json:"message,omitempty"`
	StartedAt                time.Time `json:"started_at,omitzero"`
	FinishedAt               time.Time `json:"finished_at,omitzero"`
}

// NewRotation shows a rotation.
func NewRotation(r *warrenv1.Rotation) Rotation {
	phase := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(r.GetPhase().String(), "ROTATION_PHASE_")), "_", " ")
	if r.GetNumber() == 0 {
		phase = "never"
	}
	return Rotation{
		Number: r.GetNumber(), Phase: phase, Reason: r.GetReason(), Done: r.GetDone(), Total: r.GetTotal(),
		KeyID: r.GetKeyId(), PreviousKeyID: r.GetPreviousKeyId(), NextUnlockKeyFingerprint: r.GetNextUnlockKeyFingerprint(),
		Unreadable: r.GetUnreadable(), Message: r.GetMessage(),
		StartedAt: moment(r.GetStartedAt()), FinishedAt: moment(r.GetFinishedAt()),
	}
}
