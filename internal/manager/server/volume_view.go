package server

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// GetVolume returns one volume with what its node says of it and its users.
func (v *volumes) GetVolume(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.Volume, error) {
	return v.read(ctx, ref)
}

func (v *volumes) read(ctx context.Context, ref *warrenv1.Ref) (volume *warrenv1.Volume, err error) {
	err = v.store.View(ctx, func(tx *store.ReadTx) error {
		if volume, err = find(tx.Volumes(), spec.KindVolume, ref); err != nil {
			return err
		}
		return fillVolume(tx, volume)
	})
	return volume, err
}

// ListVolumes lists the volumes of a namespace, or those in its trash.
func (v *volumes) ListVolumes(ctx context.Context, r *warrenv1.ListVolumesRequest) (*warrenv1.ListVolumesResponse, error) {
	namespace, err := checkFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	out := &warrenv1.ListVolumesResponse{}
	err = v.store.View(ctx, func(tx *store.ReadTx) error {
		node := ""
		if r.GetNode() != "" {
			n, err := find(tx.Nodes(), spec.KindNode, &warrenv1.Ref{NameOrId: r.GetNode()})
			if err != nil {
				return err
			}
			node = n.GetMeta().GetId()
		}
		for _, volume := range tx.Volumes().List(namespace) {
			if (volume.GetTrashedAt() != nil) != r.GetTrash() || node != "" && volume.GetNodeId() != node ||
				!spec.MatchLabels(volume.GetMeta().GetLabels(), r.GetFilter().GetLabels()) {
				continue
			}
			if err := fillVolume(tx, volume); err != nil {
				return err
			}
			if !r.GetUnused() || len(volume.GetUsedBy()) == 0 {
				out.Volumes = append(out.Volumes, volume)
			}
		}
		return nil
	})
	return out, err
}

// fillVolume adds what is stored elsewhere.
func fillVolume(tx *store.ReadTx, volume *warrenv1.Volume) (err error) {
	m := volume.GetMeta()
	if volume.Status, err = optional(tx.VolumeStatus().Peek(m.GetNamespace(), m.GetId())); err != nil {
		return err
	}
	if volume.NodeName, err = nodeName(tx, volume.GetNodeId()); err != nil {
		return err
	}
	if volume.Schedule, err = scheduleOf(tx, m.GetNamespace(), m.GetId()); err != nil {
		return err
	}
	volume.UsedBy, err = volumeUsages(tx, volume)
	return err
}

// volumeUsages names the services whose specs name the volume, then the tasks
// that hold it.
func volumeUsages(tx *store.ReadTx, volume *warrenv1.Volume) ([]*warrenv1.Usage, error) {
	m := volume.GetMeta()
	services, err := users(tx, m.GetNamespace(), m.GetId())
	if err != nil {
		return nil, err
	}
	out := serviceUsages(services)
	for key := range tx.Attachments().OfVolume(m.GetNamespace(), m.GetId()) {
		task, err := optional(tx.Tasks().Peek(m.GetNamespace(), key.ID()))
		if err != nil {
			return nil, err
		}
		usage := &warrenv1.Usage{Kind: spec.KindTask, Name: key.ID(), Id: key.ID()}
		if task != nil {
			usage.Name = task.GetMeta().GetName()
		}
		out = append(out, usage)
	}
	return out, nil
}
