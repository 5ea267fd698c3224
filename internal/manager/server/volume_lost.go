package server

import (
	"context"
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// lostWith returns the name of the volume's node if that is down; empty for a
// volume that its node can be asked about, or that is on none.
func lostWith(tx *store.ReadTx, volume *warrenv1.Volume) (string, error) {
	if volume.GetNodeId() == "" || volume.GetTrashedAt() != nil {
		return "", nil
	}
	status, err := optional(tx.NodeStatus().Peek(volume.GetNodeId()))
	if err != nil || status.GetState() != warrenv1.NodeState_NODE_STATE_DOWN {
		return "", err
	}
	return nodeName(tx, volume.GetNodeId())
}

// isLost tells whether the volume that a person means is on a node that is
// down. Whoever means none is told so elsewhere.
func (v *volumes) isLost(ctx context.Context, ref *warrenv1.Ref) (lost bool, err error) {
	err = v.store.View(ctx, func(tx *store.ReadTx) error {
		volume, err := find(tx.Volumes(), spec.KindVolume, ref)
		if err != nil {
			return nil
		}
		node, err := lostWith(tx, volume)
		lost = node != ""
		return err
	})
	return lost, err
}

// deleteLost deletes a volume whose node cannot be asked: without force it is
// refused at once. With it, the services that use it are stopped and its name
// is free; the copy that is on the node goes to the trash when the node comes
// back, once what may still run there has stopped.
func (v *volumes) deleteLost(ctx context.Context, r *warrenv1.DeleteVolumeRequest) (*warrenv1.DeleteVolumeResponse, error) {
	answer := &warrenv1.DeleteVolumeResponse{}
	id, err := v.commit(ctx, func(tx *store.Tx) (_ string, err error) {
		answer.Volume, answer.StoppedServices = nil, nil
		volume, err := find(tx.Volumes(), spec.KindVolume, r.GetRef())
		if err != nil {
			return "", err
		}
		m := volume.GetMeta()
		if !r.GetForce() {
			if err := v.unused(tx, volume, false); err != nil {
				return "", err
			}
			node, err := lostWith(&tx.ReadTx, volume)
			return "", errors.Join(err, spec.Problemf(spec.InUse, spec.KindVolume, m.GetName(),
				"volume %q is on node %s, which is down: its data cannot be deleted now", m.GetName(), node).
				WithHint("start %s, or give the volume up: warren volume delete %s --force", node, m.GetName()))
		}
		if answer.StoppedServices, err = v.stopAll(ctx, tx, volume); err != nil {
			return "", err
		}
		if err := letGo(tx, m); err != nil {
			return "", err
		}
		answer.Volume = volume
		volume.TrashedAt = v.now()
		return m.GetId(), errors.Join(tx.Volumes().FreeName(volume), v.remove(tx, volume, r.GetPurge()),
			tx.Events().Append(v.event(m, spec.KindVolume, "given-up", "its node is down; the copy there goes to the trash when it is back")))
	})
	if err == nil && answer.Volume == nil { // the request was done before
		answer.Volume, err = v.read(ctx, &warrenv1.Ref{Namespace: r.GetRef().GetNamespace(), NameOrId: id})
	}
	return answer, err
}

// stopAll marks the services that use a volume as stopped and returns the names
// of those that were not.
func (v *volumes) stopAll(ctx context.Context, tx *store.Tx, volume *warrenv1.Volume) (stopped []string, err error) {
	services, err := users(&tx.ReadTx, volume.GetMeta().GetNamespace(), volume.GetMeta().GetId())
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		if s.GetStopped() || s.GetDeletedAt() != nil {
			continue
		}
		stopped = append(stopped, s.GetMeta().GetName())
		reason := fmt.Sprintf("volume %s was deleted with --force by %s", volume.GetMeta().GetName(), callerName(ctx))
		if err := v.stop(tx, s, reason); err != nil {
			return nil, err
		}
	}
	return stopped, nil
}

// letGo releases a volume on a node that is down, as an operator's --force may:
// what runs there has the only copy, which nobody else is given.
func letGo(tx *store.Tx, volume *warrenv1.Meta) error {
	for key := range tx.Attachments().OfVolume(volume.GetNamespace(), volume.GetId()) {
		if err := tx.Attachments().Delete(key.Parts()...); err != nil {
			return err
		}
	}
	return tx.Holds().Delete(volume.GetNamespace(), volume.GetId())
}
