package spec

import (
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// maxHook bounds a command, in bytes.
const maxHook = 4096

// ValidHook checks a command that is run around a snapshot.
func ValidHook(kind, name, command string) error {
	if len(command) > maxHook {
		return invalid(kind, name, "a command of %d bytes is too long; the limit is %d", len(command), maxHook).
			WithHint("put it into a script in the image")
	}
	return nil
}

// ValidateSnapshot checks the request for a new snapshot.
func ValidateSnapshot(r *warrenv1.CreateSnapshotRequest) error {
	if (r.GetVolume() == nil) == (r.GetService() == nil) {
		return invalid(KindSnapshot, r.GetName(), "a snapshot is of a volume, or of a service's volumes").
			WithHint("warren volume snapshot VOLUME --name NAME")
	}
	if r.GetName() != "" {
		if err := ValidName(KindSnapshot, r.GetName()); err != nil {
			return err
		}
	}
	if err := Labels(r.GetLabels()); err != nil {
		return err
	}
	for _, hook := range []string{r.GetPre(), r.GetPost()} {
		if err := ValidHook(KindSnapshot, r.GetName(), hook); err != nil {
			return err
		}
	}
	return nil
}

// SnapshotName is the name of a snapshot for which nobody chose one: the
// volume's, and the time in UTC.
func SnapshotName(volume string, at time.Time) string {
	return volume + "-" + at.UTC().Format("20060102-150405")
}

// SnapshotPhaseName is the word for it.
func SnapshotPhaseName(s *warrenv1.Snapshot) string {
	if s.GetDeletedAt() != nil {
		return "deleting"
	}
	switch s.GetStatus().GetPhase() {
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY:
		return "ready"
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED:
		return "failed"
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_GONE:
		return "gone"
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_TAKING:
		return "taking"
	}
	return "pending"
}

// SnapshotOriginName is the word for what it was taken for.
func SnapshotOriginName(o warrenv1.SnapshotOrigin) string {
	switch o {
	case warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_SCHEDULE:
		return "schedule"
	case warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_RESTORE:
		return "restore"
	case warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_CLONE:
		return "clone"
	}
	return "manual"
}

// FormatPause writes how long tasks were frozen, such as "38ms".
func FormatPause(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
