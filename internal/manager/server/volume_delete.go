package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// DeleteVolume moves a volume that nobody uses to the trash, and with force also
// one that is used, after its services have stopped. With purge it removes the
// data for good. It returns once the node has confirmed it.
func (v *volumes) DeleteVolume(ctx context.Context, r *warrenv1.DeleteVolumeRequest) (*warrenv1.DeleteVolumeResponse, error) {
	if lost, err := v.isLost(ctx, r.GetRef()); err != nil {
		return nil, err
	} else if lost {
		return v.deleteLost(ctx, r)
	}
	answer := &warrenv1.DeleteVolumeResponse{}
	if r.GetForce() {
		stopped, err := v.stopUsers(ctx, r.GetRef())
		if err != nil {
			return nil, err
		}
		answer.StoppedServices = stopped
	}
	var volume *warrenv1.Volume
	id, err := v.commit(ctx, func(tx *store.Tx) (_ string, err error) {
		if volume, err = deletable(tx, r); err != nil {
			return "", err
		}
		if volume.GetTrashedAt() == nil {
			if err := v.unused(tx, volume, r.GetForce()); err != nil {
				return "", err
			}
		}
		return volume.GetMeta().GetId(), v.remove(tx, volume, r.GetPurge())
	})
	if err != nil {
		return nil, err
	}
	if volume == nil { // the request was done before
		volume = &warrenv1.Volume{Meta: &warrenv1.Meta{
			Id: id, Name: r.GetRef().GetNameOrId(), Namespace: spec.Namespace(r.GetRef().GetNamespace())}}
	}
	answer.Volume = volume
	return answer, v.awaitGone(ctx, volumeGoingAway(volume))
}

// deletable returns the volume that is to be deleted. One in the trash can only
// be removed for good.
func deletable(tx *store.Tx, r *warrenv1.DeleteVolumeRequest) (*warrenv1.Volume, error) {
	volume, err := find(tx.Volumes(), spec.KindVolume, r.GetRef())
	switch {
	case isNotFound(err) && r.GetPurge():
		return findTrashed(tx, r.GetRef())
	case err != nil:
		return nil, err
	case volume.GetTrashedAt() != nil && !r.GetPurge():
		m := volume.GetMeta()
		return nil, spec.Problemf(spec.Refused, spec.KindVolume, m.GetName(), "volume %q is in the trash already", m.GetName()).
			WithHint("warren volume delete %s --purge removes its data for good", m.GetId())
	}
	return volume, nil
}

// unused refuses a volume that is in use. With force, services that are
// stopped or going do not count: they keep naming a volume that is no more.
func (v *volumes) unused(tx *store.Tx, volume *warrenv1.Volume, force bool) error {
	m := volume.GetMeta()
	// Whoever attaches or releases writes the hold: to depend on it is to
	// depend on all attachments.
	if _, err := optional(tx.Holds().Get(m.GetNamespace(), m.GetId())); err != nil {
		return err
	}
	services, err := users(&tx.ReadTx, m.GetNamespace(), m.GetId())
	if err != nil {
		return err
	}
	usages, err := volumeUsages(&tx.ReadTx, volume)
	if err != nil {
		return err
	}
	stopped := len(services) == len(usages) // no task holds it
	for _, s := range services {
		stopped = stopped && (s.GetStopped() || s.GetDeletedAt() != nil)
	}
	if len(usages) == 0 || force && stopped {
		return nil
	}
	return inUse(spec.KindVolume, m.GetName(), usages)
}

// stopUsers marks the services that use a volume as stopped and waits until
// their tasks have released it. It returns the names of those that ran.
func (v *volumes) stopUsers(ctx context.Context, ref *warrenv1.Ref) (stopped []string, err error) {
	var volume *warrenv1.Volume
	var slack time.Duration
	err = v.store.Update(ctx, func(tx *store.Tx) error {
		stopped, slack = nil, 0
		if volume, err = find(tx.Volumes(), spec.KindVolume, ref); err != nil {
			return err
		}
		if volume.GetTrashedAt() != nil {
			return nil // nobody uses it
		}
		tx.Reclaim()
		services, err := users(&tx.ReadTx, volume.GetMeta().GetNamespace(), volume.GetMeta().GetId())
		if err != nil {
			return err
		}
		for _, s := range services {
			slack = max(slack, stopTime(s))
		}
		stopped, err = v.stopAll(ctx, tx, volume)
		return err
	})
	if isNotFound(err) {
		return nil, nil // it may be in the trash
	}
	if err != nil {
		// A request that was done before has stopped them before.
		var done *store.Replayed
		if errors.As(err, &done) {
			err = nil
		}
		return nil, err
	}
	err = v.await(ctx, v.config.Patience+slack, volumeReleased(volume), store.TableVolumes, store.TableAttachments, store.TableTaskStatus)
	if errors.Is(err, errStalled) {
		return nil, v.stillHeld(ctx, volume)
	}
	return stopped, err
}

func volumeReleased(volume *warrenv1.Volume) look {
	m := volume.GetMeta()
	return func(tx *store.ReadTx) (string, bool, error) {
		progress, held := "", false
		for key := range tx.Attachments().OfVolume(m.GetNamespace(), m.GetId()) {
			held = true
			status, err := optional(tx.TaskStatus().Peek(m.GetNamespace(), key.ID()))
			if err != nil {
				return "", false, err
			}
			progress += fmt.Sprint(key.ID(), status.GetState(), " ")
		}
		return progress, !held, nil
	}
}

// stillHeld names the tasks that did not release a volume in time.
func (v *volumes) stillHeld(ctx context.Context, volume *warrenv1.Volume) error {
	name := volume.GetMeta().GetName()
	return v.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		usages, err := volumeUsages(tx, volume)
		if err != nil {
			return err
		}
		p := inUse(spec.KindVolume, name, usages)
		p.Message = fmt.Sprintf("volume %q was not deleted: its services were told to stop, but it is still in use", name)
		for _, u := range usages {
			if u.GetKind() == spec.KindTask {
				p.Message += fmt.Sprintf("; task %s has not stopped", u.GetName())
			}
		}
		return p.WithHint("warren task list shows where; then try again")
	})
}

// volumeGoingAway lets a call wait for a volume that is being deleted: its name
// is free once its node has moved the data to the trash, and its rows go after
// the node has removed it.
func volumeGoingAway(volume *warrenv1.Volume) *goingAway {
	m := volume.GetMeta()
	return &goingAway{
		kind: spec.KindVolume, name: m.GetName(), tables: volumeTables,
		gone: func(tx *store.ReadTx) (string, bool, error) {
			row, err := optional(tx.Volumes().Get(m.GetNamespace(), m.GetId()))
			if err != nil || row == nil || spec.InTrash(row) {
				return "", err == nil, err
			}
			status, err := optional(tx.VolumeStatus().Get(m.GetNamespace(), m.GetId()))
			return fmt.Sprint(status.GetPhase(), status.GetMessage()), false, err
		},
		holdup: func(tx *store.ReadTx) (string, error) {
			node, err := nodeName(tx, volume.GetNodeId())
			if err != nil {
				return "", err
			}
			why := fmt.Sprintf(": node %s has not removed its data", node)
			status, err := optional(tx.VolumeStatus().Peek(m.GetNamespace(), m.GetId()))
			if status.GetMessage() != "" {
				why += ": " + status.GetMessage()
			}
			return why, err
		},
	}
}
