package spec

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// DefaultKeptSnapshots is how many snapshots a schedule keeps when nobody says.
	DefaultKeptSnapshots = 7
	maxKeptSnapshots     = 1000
)

// DefaultSchedule fills in what a request for a schedule left out.
func DefaultSchedule(r *warrenv1.ScheduleSnapshotsRequest) {
	if r.Keep == 0 {
		r.Keep = DefaultKeptSnapshots
	}
	if r.TimeZone == "" {
		r.TimeZone = "UTC"
	}
}

// ValidateSchedule checks a request that went through DefaultSchedule, but for
// the name of the time zone: which there are is not known here.
func ValidateSchedule(r *warrenv1.ScheduleSnapshotsRequest) error {
	name := r.GetVolume().GetNameOrId()
	if _, err := ParseCron(r.GetCron()); err != nil {
		return err
	}
	if r.GetKeep() > maxKeptSnapshots {
		return invalid(KindVolume, name, "%d snapshots are too many to keep; the limit is %d", r.GetKeep(), maxKeptSnapshots)
	}
	for _, hook := range []string{r.GetPre(), r.GetPost()} {
		if err := ValidHook(KindVolume, name, hook); err != nil {
			return err
		}
	}
	return nil
}
