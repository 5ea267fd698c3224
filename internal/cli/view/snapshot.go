package view

import (
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Snapshot is what a volume held at one instant.
type Snapshot struct {
	Meta
	Volume   string    `json:"volume"`
	VolumeID string    `json:"volume_id"`
	Node     string    `json:"node"`
	State    string    `json:"state"`
	Message  string    `json:"message,omitempty"`
	Origin   string    `json:"origin"`
	TakenAt  time.Time `json:"taken_at,omitzero"`
	// Size is what its files take, in bytes; blocks may be shared.
	Size   uint64 `json:"size"`
	Method string `json:"method,omitempty"`
	// Pause is for how long tasks were frozen, in seconds; null when none was.
	Pause *float64 `json:"pause_seconds"`
	Took  float64  `json:"took_seconds"`
	// Together are the IDs of those taken in the same instant.
	Together []string `json:"together,omitempty"`
}

// NewSnapshot shows a snapshot.
func NewSnapshot(s *warrenv1.Snapshot) Snapshot {
	status := s.GetStatus()
	out := Snapshot{
		Meta:     newMeta(s.GetMeta()),
		Volume:   s.GetVolume(),
		VolumeID: s.GetVolumeId(),
		Node:     s.GetNodeName(),
		State:    spec.SnapshotPhaseName(s),
		Message:  status.GetMessage(),
		Origin:   spec.SnapshotOriginName(s.GetOrigin()),
		TakenAt:  moment(status.GetTakenAt()),
		Size:     status.GetSizeBytes(),
		Method:   status.GetMethod(),
		Took:     status.GetTook().AsDuration().Seconds(),
		Together: s.GetTogether(),
	}
	if status.GetPause() != nil {
		seconds := status.GetPause().AsDuration().Seconds()
		out.Pause = &seconds
	}
	return out
}

// Schedule says when snapshots of a volume are taken.
type Schedule struct {
	Cron     string    `json:"cron"`
	TimeZone string    `json:"time_zone"`
	Keep     uint32    `json:"keep"`
	LastRun  time.Time `json:"last_run,omitzero"`
	NextRun  time.Time `json:"next_run,omitzero"`
	Message  string    `json:"message,omitempty"`
	Failures uint32    `json:"failures"`
}

// String is the schedule on one line.
func (s *Schedule) String() string {
	text := fmt.Sprintf("%s (%s), the newest %d are kept", s.Cron, s.TimeZone, s.Keep)
	if s.Failures > 0 {
		text += fmt.Sprintf("; %d failed in a row, the last: %s", s.Failures, s.Message)
	}
	return text
}

func newSchedule(s *warrenv1.SnapshotSchedule) *Schedule {
	return &Schedule{
		Cron: s.GetCron(), TimeZone: s.GetTimeZone(), Keep: s.GetKeep(),
		LastRun: moment(s.GetStatus().GetLastRun()), NextRun: moment(s.GetStatus().GetNextRun()),
		Message: s.GetStatus().GetMessage(), Failures: s.GetStatus().GetFailures(),
	}
}
