package server

import (
	"context"
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// RestoreVolume commits the order, with which the services that use the volume
// are stopped, and waits until it is over and they may start again. That it
// goes on when this call ends is control/snapshot's business.
func (s *snapshots) RestoreVolume(ctx context.Context, r *warrenv1.RestoreVolumeRequest) (*warrenv1.RestoreVolumeResponse, error) {
	out := &warrenv1.RestoreVolumeResponse{}
	var order *warrenv1.RestoreOrder
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		out.RestartedServices = nil
		volume, err := find(tx.Volumes(), spec.KindVolume, r.GetVolume())
		if err != nil {
			return "", err
		}
		snapshot, err := snapshotOf(tx, volume, r.GetFrom())
		if err != nil {
			return "", err
		}
		if err := canSnapshot(tx, volume); err != nil {
			return "", err
		}
		services, err := s.stopForRestore(ctx, tx, volume, r)
		if err != nil {
			return "", err
		}
		if out.Kept, err = s.orderRestore(tx, volume, snapshot, services); err != nil {
			return "", err
		}
		for _, service := range services {
			out.RestartedServices = append(out.RestartedServices, service.GetMeta().GetName())
		}
		order = volume.GetRestore()
		return volume.GetMeta().GetId(), nil
	})
	if err != nil {
		return nil, err
	}
	namespace := spec.Namespace(r.GetVolume().GetNamespace())
	if err := s.awaitRestored(ctx, namespace, id, order.GetId()); err != nil {
		return nil, s.notRestored(ctx, namespace, id, err)
	}
	ref := &warrenv1.Ref{Namespace: namespace, NameOrId: id}
	if out.Volume, err = (&volumes{Server: s.Server}).read(ctx, ref); err != nil || out.Kept == nil {
		return out, err
	}
	out.Kept, err = s.GetSnapshot(ctx, &warrenv1.Ref{Namespace: namespace, NameOrId: out.Kept.GetMeta().GetId()})
	return out, err
}

// snapshotOf returns a snapshot of the volume from which it can be restored.
func snapshotOf(tx *store.Tx, volume *warrenv1.Volume, name string) (*warrenv1.Snapshot, error) {
	m := volume.GetMeta()
	if name == "" {
		return nil, spec.Problemf(spec.Invalid, spec.KindVolume, m.GetName(), "no snapshot is named to restore volume %q from", m.GetName()).
			WithHint("warren volume snapshot list --volume %s", m.GetName())
	}
	snapshot, err := findSnapshot(tx.Snapshots(), &warrenv1.Ref{Namespace: m.GetNamespace(), NameOrId: name})
	if err != nil {
		return nil, err
	}
	if snapshot.GetVolumeId() != m.GetId() {
		return nil, spec.Problemf(spec.Refused, spec.KindSnapshot, name, "snapshot %q is of volume %q, not of %q", name, snapshot.GetVolume(), m.GetName()).
			WithHint("warren volume clone --from %s --name NEW makes a volume of it", name)
	}
	return snapshot, usable(tx, snapshot)
}

// usable refuses a snapshot that is not complete, or going.
func usable(tx *store.Tx, snapshot *warrenv1.Snapshot) error {
	m := snapshot.GetMeta()
	status, err := optional(tx.SnapshotStatus().Get(m.GetNamespace(), m.GetId()))
	if err != nil {
		return err
	}
	if status.GetPhase() != warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY || snapshot.GetDeletedAt() != nil {
		return spec.Problemf(spec.Refused, spec.KindSnapshot, m.GetName(), "snapshot %q is not ready", m.GetName()).
			WithHint("warren volume snapshot inspect %s", m.GetName())
	}
	return nil
}

// stopForRestore stops the services that use a volume, with force, and returns
// those that ran. Without, a volume in use is refused.
func (s *Server) stopForRestore(ctx context.Context, tx *store.Tx, volume *warrenv1.Volume, r *warrenv1.RestoreVolumeRequest) (stopped []*warrenv1.Service, err error) {
	m := volume.GetMeta()
	// See DeleteVolume: it is to depend on all attachments.
	if _, err := optional(tx.Holds().Get(m.GetNamespace(), m.GetId())); err != nil {
		return nil, err
	}
	services, err := users(&tx.ReadTx, m.GetNamespace(), m.GetId())
	if err != nil {
		return nil, err
	}
	usages, err := volumeUsages(&tx.ReadTx, volume)
	if err != nil {
		return nil, err
	}
	busy := len(usages) > len(services) // a task holds it
	for _, service := range services {
		if !service.GetStopped() && service.GetDeletedAt() == nil {
			busy = true
			stopped = append(stopped, service)
		}
	}
	if busy && !r.GetForce() {
		return nil, inUse(spec.KindVolume, m.GetName(), usages).
			WithHint("warren volume restore %s --from %s --force stops them, restores, and starts them again", m.GetName(), r.GetFrom())
	}
	for _, service := range stopped {
		reason := fmt.Sprintf("volume %s is restored from snapshot %s by %s", m.GetName(), r.GetFrom(), callerName(ctx))
		if err := s.stop(tx, service, reason); err != nil {
			return nil, err
		}
	}
	return stopped, nil
}

// orderRestore has a volume restored, and the services started afterwards. It
// returns the snapshot that becomes of what the volume holds.
func (s *Server) orderRestore(tx *store.Tx, volume *warrenv1.Volume, from *warrenv1.Snapshot, services []*warrenv1.Service) (*warrenv1.Snapshot, error) {
	name := spec.SnapshotName(volume.GetMeta().GetName()+"-before-restore", s.config.Clock())
	keep, err := s.newSnapshot(tx, volume, name, warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_RESTORE)
	if err != nil {
		return nil, err
	}
	volume.Restore = &warrenv1.RestoreOrder{
		Id: spec.RestoreID(s.config.Rand()), SnapshotId: from.GetMeta().GetId(), KeepId: keep.GetMeta().GetId(),
	}
	for _, service := range services {
		volume.Restore.RestartServiceIds = append(volume.Restore.RestartServiceIds, service.GetMeta().GetId())
	}
	return keep, errors.Join(tx.Snapshots().Create(keep), tx.Volumes().Put(volume))
}

// notDone is why a restore failed.
type notDone struct{ why string }

func (e *notDone) Error() string { return e.why }

// awaitRestored returns once the volume's restore is over: that order, or any
// when it is empty. As long as its node answers, it waits.
func (s *Server) awaitRestored(ctx context.Context, namespace, id, order string) error {
	for {
		err := s.await(ctx, s.config.Patience, func(tx *store.ReadTx) (string, bool, error) {
			volume, err := tx.Volumes().Get(namespace, id)
			if err != nil {
				return "", false, err
			}
			if now := volume.GetRestore(); now != nil && (order == "" || now.GetId() == order) {
				return now.GetId(), false, nil
			}
			status, err := optional(tx.VolumeStatus().Get(namespace, id))
			if err == nil && status.GetRestoreMessage() != "" && (order == "" || status.GetRestoreId() == order) {
				err = &notDone{status.GetRestoreMessage()}
			}
			return "", true, err
		}, store.TableVolumes, store.TableVolumeStatus)
		if !errors.Is(err, errStalled) {
			return err
		}
		err = s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
			volume, err := tx.Volumes().Get(namespace, id)
			if err != nil {
				return err
			}
			return nodeAnswers(tx, volume)
		})
		if err != nil {
			return err
		}
	}
}

// notRestored says that a restore failed, or is not over yet.
func (s *Server) notRestored(ctx context.Context, namespace, id string, cause error) error {
	var failed *notDone
	if !errors.As(cause, &failed) {
		return cause
	}
	return s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		volume, err := tx.Volumes().Get(namespace, id)
		if err != nil {
			return err
		}
		name := volume.GetMeta().GetName()
		return spec.Problemf(spec.Unavailable, spec.KindVolume, name, "volume %q was not restored and is as it was: %s", name, failed.why).
			WithHint("its services are started again; warren volume inspect %s", name)
	})
}
