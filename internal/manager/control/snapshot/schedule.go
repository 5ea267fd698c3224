package snapshot

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

const (
	// longestNap bounds how wrong a clock that was set may make a schedule.
	longestNap = time.Minute
	// retrySchedule is the pause after a failure of the store.
	retrySchedule = time.Second
)

// follow begins what is due until ctx ends.
func (r *Reconciler) follow(ctx context.Context) {
	w := r.store.Watch(store.TableSchedules, store.TableSnapshotStatus)
	defer w.Close()
	next := r.Clock()
	for ctx.Err() == nil {
		until, cancel := context.WithTimeout(ctx, min(max(next.Sub(r.Clock()), 0), longestNap))
		_, err := w.Next(until)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if next, err = r.begin(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("snapshots that are due are not taken for now", "error", err)
			next = r.Clock().Add(retrySchedule)
		}
	}
}

// begin begins what is due and returns when something is next.
func (r *Reconciler) begin(ctx context.Context) (next time.Time, err error) {
	var keys []store.Key
	next = r.Clock().Add(longestNap)
	err = r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for key := range tx.Schedules().Keys() {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return next, err
	}
	var failed []error
	for _, key := range keys {
		var at time.Time
		err := r.store.Update(ctx, func(tx *store.Tx) (err error) {
			at, err = r.keepSchedule(tx, key)
			return err
		})
		failed = append(failed, err)
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next, errors.Join(failed...)
}

// keepSchedule brings one schedule up to date: the outcome of its last run is
// noted, and a run that is due begins. Of several that were missed, only the
// last is made up for.
func (r *Reconciler) keepSchedule(tx *store.Tx, key store.Key) (next time.Time, err error) {
	schedule, err := tx.Schedules().Get(key.Parts()...)
	if err != nil {
		return next, unlessNotFound(err)
	}
	volume, err := tx.Volumes().Peek(key.Parts()...)
	if errors.Is(err, store.ErrNotFound) {
		return next, errors.Join(tx.Schedules().Delete(key.Parts()...), tx.ScheduleStatus().Delete(key.Parts()...))
	}
	if err != nil {
		return next, err
	}
	was, err := tx.ScheduleStatus().Get(key.Parts()...)
	if unlessNotFound(err) != nil {
		return next, err
	}
	is := &warrenv1.ScheduleStatus{}
	if was != nil {
		is = proto.CloneOf(was)
	}
	due, next, err := dueRun(schedule, is, r.Clock())
	if err != nil {
		return next, err
	}
	is.NextRun = timestamppb.New(next)
	if err := r.noteOutcome(tx, key, is); err != nil {
		return next, err
	}
	if !due.IsZero() && volume.GetDeletedAt() == nil {
		is.LastRun, is.LastSnapshot = timestamppb.New(due), ""
		if err := r.order(tx, schedule, volume, is, due); err != nil {
			return next, err
		}
	}
	if proto.Equal(was, is) {
		return next, nil
	}
	return next, tx.ScheduleStatus().Put(is, key.Parts()...)
}

// dueRun returns the last run that is due and was not begun, zero when there is
// none, and the next one.
func dueRun(schedule *warrenv1.SnapshotSchedule, is *warrenv1.ScheduleStatus, now time.Time) (due, next time.Time, err error) {
	cron, err := spec.ParseCron(schedule.GetCron())
	if err != nil {
		return due, next, err
	}
	zone, err := time.LoadLocation(schedule.GetTimeZone())
	if err != nil {
		return due, next, err
	}
	since := schedule.GetCreatedAt().AsTime()
	if last := is.GetLastRun().AsTime(); is.GetLastRun() != nil && last.After(since) {
		since = last
	}
	for next = cron.Next(since.In(zone)); !next.IsZero() && !next.After(now); next = cron.Next(next) {
		due = next
	}
	return due, next, nil
}

// noteOutcome notes what became of the last run.
func (r *Reconciler) noteOutcome(tx *store.Tx, key store.Key, is *warrenv1.ScheduleStatus) error {
	if is.GetLastSnapshot() == "" {
		return nil
	}
	snapshot, err := tx.Snapshots().ByName(key.Namespace(), is.GetLastSnapshot())
	if err != nil {
		return unlessNotFound(err)
	}
	status, err := tx.SnapshotStatus().Get(key.Namespace(), snapshot.GetMeta().GetId())
	if err != nil {
		return unlessNotFound(err)
	}
	switch status.GetPhase() {
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY:
		is.Failures, is.Message = 0, ""
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED:
		is.Failures, is.Message, is.LastSnapshot = is.Failures+1, status.GetMessage(), ""
	}
	return nil
}

// order has the snapshot of a run taken, or says in an event why it cannot be.
func (r *Reconciler) order(tx *store.Tx, schedule *warrenv1.SnapshotSchedule, volume *warrenv1.Volume, is *warrenv1.ScheduleStatus, due time.Time) error {
	m := volume.GetMeta()
	name := spec.SnapshotName(m.GetName(), due)
	why := r.cannot(tx, volume)
	if _, err := tx.Snapshots().ByName(m.GetNamespace(), name); err == nil {
		why = "there is a snapshot " + name + " already"
	} else if unlessNotFound(err) != nil {
		return err
	}
	if why != "" {
		is.Failures, is.Message = is.Failures+1, why
		return tx.Events().Append(r.about(spec.KindVolume, m, "snapshot-failed", "the scheduled snapshot was not taken: "+why))
	}
	now := timestamppb.New(r.Clock())
	is.LastSnapshot = name
	return tx.Snapshots().Create(&warrenv1.Snapshot{
		Meta: &warrenv1.Meta{
			Id: spec.SnapshotID(name, r.Rand()), Name: name, Namespace: m.GetNamespace(), CreatedAt: now, UpdatedAt: now,
		},
		VolumeId: m.GetId(), Volume: m.GetName(), Driver: volume.GetSpec().GetDriver(), NodeId: volume.GetNodeId(),
		VolumeSizeBytes: volume.GetSpec().GetSizeBytes(), Origin: warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_SCHEDULE,
		Pre: schedule.GetPre(), Post: schedule.GetPost(),
	})
}

// cannot says why no snapshot of a volume can be taken now; empty when it can.
func (r *Reconciler) cannot(tx *store.Tx, volume *warrenv1.Volume) string {
	status, err := tx.NodeStatus().Peek(volume.GetNodeId())
	switch {
	case volume.GetRestore() != nil:
		return "the volume is being restored"
	case err != nil || status.GetState() != warrenv1.NodeState_NODE_STATE_READY:
		return "the volume's node does not answer"
	}
	return ""
}
