package server

import (
	"context"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// ScheduleSnapshots gives a volume a schedule in the place of the one it has.
func (s *snapshots) ScheduleSnapshots(ctx context.Context, r *warrenv1.ScheduleSnapshotsRequest) (*warrenv1.SnapshotSchedule, error) {
	spec.DefaultSchedule(r)
	if err := spec.ValidateSchedule(r); err != nil {
		return nil, err
	}
	if _, err := time.LoadLocation(r.GetTimeZone()); err != nil {
		return nil, spec.Problemf(spec.Invalid, spec.KindVolume, r.GetVolume().GetNameOrId(), "time zone %q is not known", r.GetTimeZone()).
			WithHint("use a name such as Europe/Berlin, or UTC")
	}
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		volume, err := schedulable(tx, r.GetVolume())
		if err != nil {
			return "", err
		}
		m := volume.GetMeta()
		return m.GetId(), tx.Schedules().Put(&warrenv1.SnapshotSchedule{
			VolumeId: m.GetId(), Namespace: m.GetNamespace(), Cron: r.GetCron(), TimeZone: r.GetTimeZone(), Keep: r.GetKeep(),
			Pre: r.GetPre(), Post: r.GetPost(), CreatedAt: s.now(),
		}, m.GetNamespace(), m.GetId())
	})
	if err != nil {
		return nil, err
	}
	var schedule *warrenv1.SnapshotSchedule
	err = s.store.View(ctx, func(tx *store.ReadTx) (err error) {
		schedule, err = scheduleOf(tx, spec.Namespace(r.GetVolume().GetNamespace()), id)
		return err
	})
	return schedule, err
}

// UnscheduleSnapshots ends a volume's schedule.
func (s *snapshots) UnscheduleSnapshots(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.SnapshotSchedule, error) {
	var schedule *warrenv1.SnapshotSchedule
	_, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		volume, err := schedulable(tx, ref)
		if err != nil {
			return "", err
		}
		m := volume.GetMeta()
		if schedule, err = scheduleOf(&tx.ReadTx, m.GetNamespace(), m.GetId()); err != nil {
			return "", err
		}
		if schedule == nil {
			return "", spec.Problemf(spec.NotFound, spec.KindVolume, m.GetName(), "volume %q has no schedule", m.GetName()).
				WithHint(`warren volume schedule %s --snapshot "0 2 * * *" --keep 7`, m.GetName())
		}
		return m.GetId(), tx.Schedules().Delete(m.GetNamespace(), m.GetId())
	})
	return schedule, err
}

func schedulable(tx *store.Tx, ref *warrenv1.Ref) (*warrenv1.Volume, error) {
	volume, err := find(tx.Volumes(), spec.KindVolume, ref)
	if err == nil && volume.GetDeletedAt() != nil {
		name := volume.GetMeta().GetName()
		err = spec.Problemf(spec.Refused, spec.KindVolume, name, "volume %q is in the trash", name).WithHint("warren volume undelete %s", name)
	}
	return volume, err
}

// scheduleOf returns a volume's schedule and what became of it; nil when it has
// none.
func scheduleOf(tx *store.ReadTx, namespace, volumeID string) (*warrenv1.SnapshotSchedule, error) {
	schedule, err := optional(tx.Schedules().Get(namespace, volumeID))
	if err != nil || schedule == nil {
		return nil, err
	}
	schedule.Status, err = optional(tx.ScheduleStatus().Peek(namespace, volumeID))
	return schedule, err
}
