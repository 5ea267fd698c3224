package rotate

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// timetableRetry is when a rotation is asked for again that could not be.
const timetableRetry = time.Minute

// keepTimetable asks for a rotation whenever one is due, until ctx ends.
func (r *Reconciler) keepTimetable(ctx context.Context) {
	w := r.store.Watch(store.TableCluster, store.TableClusterSettings, store.TableRotation)
	defer w.Close()
	var at time.Time
	for {
		until, cancel := ctx, context.CancelFunc(func() {})
		if !at.IsZero() {
			until, cancel = context.WithDeadline(ctx, at)
		}
		_, err := w.Next(until)
		cancel()
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		if at, err = r.request(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("a rotation that is due was not begun; it is tried again", "error", err)
			at = r.now().Add(timetableRetry)
		}
	}
}

// request asks for a rotation if one is due, else returns when one will be: the
// zero time for never.
func (r *Reconciler) request(ctx context.Context) (at time.Time, err error) {
	err = r.store.Update(ctx, func(tx *store.Tx) error {
		cluster, err := tx.Cluster().Get()
		if err != nil {
			return unlessNotFound(err)
		}
		settings, err := tx.ClusterSettings().Get()
		if unlessNotFound(err) != nil {
			return err
		}
		last, err := tx.Rotation().Get()
		if unlessNotFound(err) != nil {
			return err
		}
		at = due(cluster, settings.GetRotateEvery().AsDuration(), last)
		if at.IsZero() || r.now().Before(at) {
			return nil
		}
		at = time.Time{}
		return tx.Rotation().Put(&warrenv1.Rotation{
			Number: last.GetNumber() + 1, Phase: warrenv1.RotationPhase_ROTATION_PHASE_REQUESTED,
			Reason: "scheduled", StartedAt: timestamppb.New(r.now()),
		})
	})
	return at, err
}

// due is when the next rotation is to begin; the zero time when there is none,
// or one is under way.
func due(cluster *warrenv1.Cluster, every time.Duration, last *warrenv1.Rotation) time.Time {
	switch {
	case every <= 0 || last != nil && last.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_DONE:
		return time.Time{}
	case last != nil:
		return last.GetFinishedAt().AsTime().Add(every)
	}
	return cluster.GetCreatedAt().AsTime().Add(every)
}
