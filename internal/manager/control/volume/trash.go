package volume

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// arrived lists the volumes, among what changed, that their nodes have moved to
// the trash.
func arrived(tx *store.ReadTx, changes store.Changes) ([]store.Key, error) {
	candidates := slices.Concat(changes.Keys(store.TableVolumes), changes.Keys(store.TableVolumeStatus))
	if changes.All {
		candidates = slices.Collect(tx.Volumes().Keys())
	}
	var trashed []store.Key
	for _, key := range candidates {
		volume, err := arriving(tx, key)
		if err != nil {
			return nil, err
		}
		if volume != nil {
			trashed = append(trashed, key)
		}
	}
	slices.Sort(trashed)
	return slices.Compact(trashed), nil
}

// arriving returns a volume that is in the trash and still has its name.
func arriving(tx *store.ReadTx, key store.Key) (*warrenv1.Volume, error) {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil || volume.GetDeletedAt() == nil || volume.GetTrashedAt() != nil {
		return nil, unlessNotFound(err)
	}
	status, err := tx.VolumeStatus().Peek(key.Parts()...)
	if err != nil || status.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_TRASHED || status.GetNodeId() != volume.GetNodeId() {
		return nil, unlessNotFound(err)
	}
	return volume, nil
}

// arrive frees the names of volumes that are in the trash.
func (r *Reconciler) arrive(ctx context.Context, volumes []store.Key) error {
	return r.store.Update(ctx, func(tx *store.Tx) error {
		tx.Reclaim()
		for _, key := range volumes {
			volume, err := arriving(&tx.ReadTx, key)
			if err != nil {
				return err
			} else if volume == nil {
				continue
			}
			volume.TrashedAt = timestamppb.Now()
			event := about(volume, "trashed", "it goes for good at "+volume.GetPurgeAt().AsTime().Format(time.RFC3339))
			if err := errors.Join(tx.Volumes().FreeName(volume), tx.Volumes().Put(volume), tx.Events().Append(event)); err != nil {
				return err
			}
		}
		return nil
	})
}

// retryPurge is the pause after a failure.
const retryPurge = time.Second

// emptyTrash lets volumes go whose time in the trash is over, until ctx ends.
func (r *Reconciler) emptyTrash(ctx context.Context) {
	w := r.store.Watch(store.TableVolumes)
	defer w.Close()
	next := time.Now()
	for ctx.Err() == nil {
		until, cancel := ctx, context.CancelFunc(func() {})
		if !next.IsZero() {
			until, cancel = context.WithDeadline(ctx, next)
		}
		_, err := w.Next(until)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if next, err = r.purge(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.log.Error("volumes in the trash whose time is over stay there for now", "error", err)
			next = time.Now().Add(retryPurge)
		}
	}
}

// purge tells the nodes to remove what is due, and returns when it is to be
// called again; the zero time for not before something changes.
func (r *Reconciler) purge(ctx context.Context, now time.Time) (next time.Time, err error) {
	var due []store.Key
	err = r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for key, v := range tx.Volumes().List() {
			if !spec.InTrash(v) {
				continue
			}
			at := v.GetPurgeAt().AsTime()
			if !at.After(now) {
				due = append(due, key)
			} else if next.IsZero() || at.Before(next) {
				next = at
			}
		}
		return nil
	})
	if err != nil {
		return next, err
	}
	for batch := range slices.Chunk(due, maxBatch) {
		err := r.store.Update(ctx, func(tx *store.Tx) error {
			tx.Reclaim()
			for _, key := range batch {
				v, err := tx.Volumes().Get(key.Parts()...)
				if unlessNotFound(err) != nil {
					return err
				}
				if err != nil || !spec.InTrash(v) || v.GetPurgeAt().AsTime().After(now) {
					continue
				}
				v.Purge = true
				if err := tx.Volumes().Put(v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return next, err
		}
	}
	return next, nil
}
