package place

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// placeTask gives a task its node and its volumes, if it still waits and all of
// them can still be had there. It returns the size of what it wrote.
func placeTask(tx *store.Tx, key store.Key, node string) (int, error) {
	task, err := tx.Tasks().Get(key.Parts()...)
	if err != nil || !waits(task) {
		return 0, unlessNotFound(err)
	}
	var volumes []store.Key
	for _, pin := range task.GetVolumes() {
		if volume := store.KeyOf(key.Namespace(), pin.GetVolumeId()); !slices.Contains(volumes, volume) {
			volumes = append(volumes, volume)
		}
	}
	for _, volume := range volumes {
		if ok, err := available(tx, volume, node, exclusive(task, volume.ID())); err != nil || !ok {
			return 0, err
		}
	}
	for _, volume := range volumes {
		if err := attach(tx, task, volume, node); err != nil {
			return 0, err
		}
	}
	task.NodeId = node
	if err := tx.Tasks().Put(task); err != nil {
		return 0, err
	}
	return proto.Size(task), tx.TaskStatus().Put(&warrenv1.TaskStatus{
		TaskId: key.ID(), State: warrenv1.TaskState_TASK_STATE_ASSIGNED, StateSince: timestamppb.Now(),
	}, key.Parts()...)
}

// available checks once more, in the transaction, what the scheduler decided
// by: this is where a second writer is ruled out.
func available(tx *store.Tx, key store.Key, node string, alone bool) (bool, error) {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil {
		return false, unlessNotFound(err)
	}
	hold, err := tx.Holds().Get(key.Parts()...)
	if unlessNotFound(err) != nil {
		return false, err
	}
	switch {
	case volume.GetDeletedAt() != nil:
		return false, nil
	case isLocal(volume) && volume.GetNodeId() != "" && volume.GetNodeId() != node:
		return false, nil
	case alone || volume.GetSpec().GetAccess() == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE:
		return hold.GetHolders() == 0, nil
	case hold.GetExclusiveTaskId() != "":
		return false, nil
	default:
		return true, nil
	}
}

// attach records that the task holds the volume.
func attach(tx *store.Tx, task *warrenv1.Task, volume store.Key, node string) error {
	v, err := tx.Volumes().Get(volume.Parts()...)
	if err != nil {
		return err
	}
	// From its first mount on, a volume's node is final.
	if isLocal(v) && !v.GetPinned() {
		v.Pinned = true
		if err := putOn(tx, v, node); err != nil {
			return err
		}
	}
	hold, err := tx.Holds().Get(volume.Parts()...)
	if unlessNotFound(err) != nil {
		return err
	} else if err != nil {
		hold = &storepb.Hold{}
	}
	hold.Holders++
	if v.GetSpec().GetAccess() == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE || exclusive(task, volume.ID()) {
		hold.ExclusiveTaskId = task.GetMeta().GetId()
	}
	if err := tx.Holds().Put(hold, volume.Parts()...); err != nil {
		return err
	}
	return tx.Attachments().Put(&warrenv1.Attachment{
		VolumeId: volume.ID(), TaskId: task.GetMeta().GetId(), ServiceId: task.GetServiceId(),
		NodeId: node, ReadOnly: readOnly(task, volume.ID()), CreatedAt: timestamppb.Now(),
	}, volume.Namespace(), volume.ID(), task.GetMeta().GetId())
}

// exclusive tells whether the task wants the volume for itself alone, whatever
// the volume's access mode lets others do.
func exclusive(task *warrenv1.Task, volumeID string) bool {
	return slices.ContainsFunc(task.GetVolumes(), func(pin *warrenv1.VolumePin) bool {
		return pin.GetVolumeId() == volumeID && pin.GetExclusive()
	})
}

// readOnly tells whether all of the task's mounts of the volume are.
func readOnly(task *warrenv1.Task, volumeID string) bool {
	for _, pin := range task.GetVolumes() {
		if pin.GetVolumeId() == volumeID && !pin.GetReadOnly() {
			return false
		}
	}
	return true
}

// placeVolume gives a volume its node, if it still has none.
func placeVolume(tx *store.Tx, p schedule.Placement) error {
	volume, err := tx.Volumes().Get(store.Key(p.ID).Parts()...)
	if err != nil || !unplaced(volume) {
		return unlessNotFound(err)
	}
	return putOn(tx, volume, p.NodeID)
}

// putOn writes the volume with its node. Until that node speaks of it, it is
// pending, and no longer for the reason that it had no node.
func putOn(tx *store.Tx, volume *warrenv1.Volume, node string) error {
	if volume.GetNodeId() == "" {
		status := &warrenv1.VolumeStatus{VolumeId: volume.GetMeta().GetId(), NodeId: node, Phase: warrenv1.VolumePhase_VOLUME_PHASE_PENDING}
		if err := tx.VolumeStatus().Put(status, volume.GetMeta().GetNamespace(), volume.GetMeta().GetId()); err != nil {
			return err
		}
	}
	volume.NodeId = node
	return tx.Volumes().Put(volume)
}
