package spec

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// DefaultTrashTime is how long deleted volumes wait in the trash.
	DefaultTrashTime = 24 * time.Hour
	// LeastTrashTime is how long they do even when the disk is full.
	LeastTrashTime = time.Hour

	maxTrashTime = 10 * 365 * 24 * time.Hour
)

// TrashTime is how long deleted volumes wait in a cluster's trash.
func TrashTime(s *warrenv1.ClusterSettings) time.Duration {
	if s.GetTrashTime() == nil {
		return DefaultTrashTime
	}
	return s.GetTrashTime().AsDuration()
}

// ValidTrashTime checks a new such time.
func ValidTrashTime(d *durationpb.Duration) error {
	if t := d.AsDuration(); !d.IsValid() || t < 0 || t > maxTrashTime {
		return invalid("cluster", "", "a trash time of %v is not between 0 and 10 years", t).
			WithHint("warren cluster update --trash-time 48h")
	}
	return nil
}

// InTrash tells whether a volume was deleted and can come back.
func InTrash(v *warrenv1.Volume) bool { return v.GetTrashedAt() != nil && !v.GetPurge() }
