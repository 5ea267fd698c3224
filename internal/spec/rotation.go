package spec

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

// MinRotateEvery keeps scheduled rotations from treading on each other's heels.
const MinRotateEvery = time.Hour

// ValidRotateEvery refuses what is no interval of rotations; nil and zero are
// fine.
func ValidRotateEvery(every *durationpb.Duration) error {
	d := every.AsDuration()
	if every == nil || every.CheckValid() == nil && (d == 0 || d >= MinRotateEvery) {
		return nil
	}
	return Problemf(Invalid, "cluster", "", "the keys cannot be rotated every %s: want %s or more, or 0 for never", d, MinRotateEvery)
}
