// Package volume ends what volumes were part of: a task that is over lets go of
// its volumes, and a deleted volume leaves the state once its node has said
// that the data is gone.
//
// In between lies the trash: a volume that its node has moved there gives its
// name up, and when its time there is over, its node is told to remove it.
//
// Both wait for a confirmation. An attachment is released when the task's node
// has reported its end, never because time has passed: until then the node may
// still write.
//
// The package is the one that releases Attachments and Holds, writes
// Volume.trashed_at, sets Volume.purge when the trash's time is over, and
// removes volume rows.
package volume

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// maxBatch bounds the attachments or volumes of one transaction.
const maxBatch = 256

// Reconciler releases and removes.
type Reconciler struct {
	store *store.Store
	log   *slog.Logger
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, log *slog.Logger) *Reconciler { return &Reconciler{s, log} }

// Run releases what ended tasks hold and removes volumes that are gone, until
// ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var purging sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer purging.Wait()
	defer cancel()
	purging.Go(func() { r.emptyTrash(ctx) })
	return reconcile.Run(ctx, r.store, r.log, r.react,
		store.TableTaskStatus, store.TableAttachments, store.TableVolumes, store.TableVolumeStatus)
}

func (r *Reconciler) react(ctx context.Context, changes store.Changes) error {
	var held, gone, trashed []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
		if held, err = releasable(tx, changes); err != nil {
			return err
		}
		if gone, err = removable(tx, changes); err != nil {
			return err
		}
		trashed, err = arrived(tx, changes)
		return err
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(held, maxBatch) {
		if err := r.release(ctx, batch); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(trashed, maxBatch) {
		if err := r.arrive(ctx, batch); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(gone, maxBatch) {
		if err := r.remove(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// releasable lists the attachments, among what changed, of tasks that are over.
func releasable(tx *store.ReadTx, changes store.Changes) ([]store.Key, error) {
	var candidates, held []store.Key
	if changes.All {
		candidates = slices.Collect(tx.Attachments().Keys())
	} else {
		candidates = changes.Keys(store.TableAttachments)
		for _, task := range changes.Keys(store.TableTaskStatus) {
			for key := range tx.Attachments().OfTask(task.Namespace(), task.ID()) {
				candidates = append(candidates, key)
			}
		}
	}
	for _, key := range candidates {
		status, err := tx.TaskStatus().Get(key.Namespace(), key.ID())
		if unlessNotFound(err) != nil {
			return nil, err
		}
		if spec.Terminal(status.GetState()) {
			held = append(held, key)
		}
	}
	slices.Sort(held)
	return slices.Compact(held), nil
}

// release deletes attachments and counts their volumes' holds down. The end of
// a task is final, so it need not be guarded.
func (r *Reconciler) release(ctx context.Context, attachments []store.Key) error {
	return r.store.Update(ctx, func(tx *store.Tx) error {
		tx.Reclaim()
		for _, key := range attachments {
			attachment, err := tx.Attachments().Get(key.Parts()...)
			if errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			hold, err := tx.Holds().Get(key.Namespace(), attachment.GetVolumeId())
			if err != nil {
				return err
			}
			hold.Holders--
			if hold.GetExclusiveTaskId() == attachment.GetTaskId() {
				hold.ExclusiveTaskId = ""
			}
			if err := tx.Holds().Put(hold, key.Namespace(), attachment.GetVolumeId()); err != nil {
				return err
			}
			if err := tx.Attachments().Delete(key.Parts()...); err != nil {
				return err
			}
		}
		return nil
	})
}

// removable lists the volumes, among what changed, that were deleted and exist
// nowhere any more.
func removable(tx *store.ReadTx, changes store.Changes) ([]store.Key, error) {
	candidates := slices.Concat(changes.Keys(store.TableVolumes), changes.Keys(store.TableVolumeStatus))
	if changes.All {
		candidates = slices.Collect(tx.Volumes().Keys())
	}
	// The last holder of a deleted volume may go after its data.
	for _, key := range changes.Keys(store.TableAttachments) {
		candidates = append(candidates, store.KeyOf(key.Parts()[:2]...))
	}
	var gone []store.Key
	for _, key := range candidates {
		volume, err := deletedAndGone(tx, key)
		if err != nil {
			return nil, err
		}
		if volume != nil {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	return slices.Compact(gone), nil
}

// deletedAndGone returns a volume that can be removed, nil if it cannot.
func deletedAndGone(tx *store.ReadTx, key store.Key) (*warrenv1.Volume, error) {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil || volume.GetDeletedAt() == nil {
		return nil, unlessNotFound(err)
	}
	hold, err := tx.Holds().Get(key.Parts()...)
	if unlessNotFound(err) != nil || hold.GetHolders() > 0 {
		return nil, unlessNotFound(err)
	}
	if volume.GetNodeId() == "" {
		return volume, nil // never placed: there is no data anywhere
	}
	status, err := tx.VolumeStatus().Peek(key.Parts()...)
	if err != nil || status.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_GONE {
		return nil, unlessNotFound(err)
	}
	return volume, nil
}

// remove deletes the volumes' rows. It depends on each volume and its hold, so
// that nothing is attached to one at the same moment.
func (r *Reconciler) remove(ctx context.Context, volumes []store.Key) error {
	return r.store.Update(ctx, func(tx *store.Tx) error {
		tx.Reclaim()
		for _, key := range volumes {
			volume, err := deletedAndGone(&tx.ReadTx, key)
			if err != nil {
				return err
			} else if volume == nil {
				continue
			}
			deletes := []func(...string) error{tx.VolumeStatus().Delete, tx.Holds().Delete, tx.Uses().Delete}
			for _, del := range deletes {
				if err := del(key.Parts()...); err != nil {
					return err
				}
			}
			if err := errors.Join(tx.Volumes().Delete(volume), tx.Events().Append(about(volume, "deleted", ""))); err != nil {
				return err
			}
		}
		return nil
	})
}

func about(volume *warrenv1.Volume, reason, message string) *warrenv1.Event {
	m := volume.GetMeta()
	return &warrenv1.Event{
		Time: timestamppb.Now(), Kind: spec.KindVolume, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(),
		Reason: reason, Message: message,
	}
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
