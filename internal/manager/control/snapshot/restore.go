package snapshot

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// endRestores clears the orders that are over, and starts the services that
// were stopped for them once no other volume of theirs is being restored.
func (r *Reconciler) endRestores(ctx context.Context, changes store.Changes) error {
	candidates := slices.Concat(changes.Keys(store.TableVolumes), changes.Keys(store.TableVolumeStatus))
	var over []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		if changes.All {
			candidates = slices.Collect(tx.Volumes().Keys())
		}
		for _, key := range candidates {
			volume, _, err := restoreOver(tx, key)
			if err != nil {
				return err
			}
			if volume != nil {
				over = append(over, key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(over)
	for _, key := range slices.Compact(over) {
		if err := r.store.Update(ctx, func(tx *store.Tx) error { return r.endRestore(tx, key) }); err != nil {
			return err
		}
	}
	return nil
}

// restoreOver returns a volume whose restore is over; nil when it has none. One
// that was deleted, or whose node is gone, is restored no more.
func restoreOver(tx *store.ReadTx, key store.Key) (*warrenv1.Volume, *warrenv1.VolumeStatus, error) {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil || volume.GetRestore() == nil {
		return nil, nil, unlessNotFound(err)
	}
	status, err := tx.VolumeStatus().Peek(key.Parts()...)
	if unlessNotFound(err) != nil {
		return nil, nil, err
	}
	if status.GetRestoreId() != volume.GetRestore().GetId() && volume.GetDeletedAt() == nil {
		return nil, nil, nil
	}
	return volume, status, nil
}

func (r *Reconciler) endRestore(tx *store.Tx, key store.Key) error {
	tx.Reclaim()
	volume, status, err := restoreOver(&tx.ReadTx, key)
	if err != nil || volume == nil {
		return err
	}
	order := volume.GetRestore()
	volume.Restore = nil
	if err := tx.Volumes().Put(volume); err != nil {
		return err
	}
	reason, message := "restored", "what it held before is a snapshot"
	if status.GetRestoreId() != order.GetId() || status.GetRestoreMessage() != "" {
		reason, message = "restore-failed", "it is as it was: "+status.GetRestoreMessage()
		if err := r.dropKept(tx, key.Namespace(), order.GetKeepId()); err != nil {
			return err
		}
	}
	for _, id := range order.GetRestartServiceIds() {
		if err := r.restart(tx, key, id); err != nil {
			return err
		}
	}
	return tx.Events().Append(r.about(spec.KindVolume, volume.GetMeta(), reason, message))
}

// dropKept ends the snapshot that was to become of the volume's content.
func (r *Reconciler) dropKept(tx *store.Tx, namespace, id string) error {
	kept, err := tx.Snapshots().Get(namespace, id)
	if err != nil || kept.GetDeletedAt() != nil {
		return unlessNotFound(err)
	}
	kept.DeletedAt = timestamppb.New(r.Clock())
	return tx.Snapshots().Put(kept)
}

// restart starts a service again, unless another of its volumes is still being
// restored: then that one's end does it.
func (r *Reconciler) restart(tx *store.Tx, over store.Key, serviceID string) error {
	service, err := tx.Services().Get(over.Namespace(), serviceID)
	if err != nil || !service.GetStopped() || service.GetDeletedAt() != nil {
		return unlessNotFound(err)
	}
	for key, volume := range tx.Volumes().List(over.Namespace()) {
		if key == over || !slices.Contains(volume.GetRestore().GetRestartServiceIds(), serviceID) {
			continue
		}
		// Of two that end at once, one must see that the other did.
		if _, err := tx.Volumes().Get(key.Parts()...); unlessNotFound(err) != nil {
			return err
		}
		return nil
	}
	service.Stopped, service.StoppedReason = false, ""
	service.Meta.UpdatedAt = timestamppb.New(r.Clock())
	return errors.Join(tx.Services().Put(service),
		tx.Events().Append(r.about(spec.KindService, service.GetMeta(), "started", "the restore of its volumes is over")))
}
