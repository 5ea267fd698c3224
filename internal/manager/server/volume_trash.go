package server

import (
	"context"
	"errors"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// UndeleteVolume takes a volume out of the trash and waits until its node has
// it where it was.
func (v *volumes) UndeleteVolume(ctx context.Context, r *warrenv1.UndeleteVolumeRequest) (*warrenv1.Volume, error) {
	if r.GetAs() != "" {
		if err := spec.ValidName(spec.KindVolume, r.GetAs()); err != nil {
			return nil, err
		}
	}
	id, err := v.commit(ctx, func(tx *store.Tx) (string, error) {
		volume, err := findTrashed(tx, r.GetRef())
		if err != nil {
			return "", err
		}
		m := volume.GetMeta()
		was := m.GetName()
		if r.GetAs() != "" {
			m.Name = r.GetAs()
		}
		if err := nameIsFree(tx, volume, was); err != nil {
			return "", err
		}
		volume.DeletedAt, volume.PurgeAt, volume.TrashedAt = nil, nil, nil
		m.UpdatedAt = v.now()
		message := "by " + callerName(ctx)
		if m.GetName() != was {
			message = "it was " + was + ", " + message
		}
		return m.GetId(), errors.Join(tx.Volumes().Put(volume), tx.Volumes().TakeName(volume),
			tx.Events().Append(v.event(m, spec.KindVolume, "undeleted", message)))
	})
	if err != nil {
		return nil, err
	}
	namespace := spec.Namespace(r.GetRef().GetNamespace())
	if err := v.awaitReady(ctx, namespace, id); err != nil {
		return nil, v.notBack(ctx, namespace, id, err)
	}
	return v.read(ctx, &warrenv1.Ref{Namespace: namespace, NameOrId: id})
}

// notBack says why a volume that was taken out of the trash is not there yet.
func (v *volumes) notBack(ctx context.Context, namespace, id string, cause error) error {
	return v.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		volume, err := tx.Volumes().Get(namespace, id)
		if err != nil {
			return err
		}
		why := cause.Error()
		if errors.Is(cause, errStalled) {
			why = "its node has not answered"
		}
		name := volume.GetMeta().GetName()
		return spec.Problemf(spec.Unavailable, spec.KindVolume, name, "volume %q is not back yet: %s", name, why).
			WithHint("its node goes on trying; warren volume inspect %s shows what it waits for", name)
	})
}

// nameIsFree refuses the name of a volume that is to come back if another one
// has it.
func nameIsFree(tx *store.Tx, volume *warrenv1.Volume, was string) error {
	m := volume.GetMeta()
	holder, err := optional(tx.Volumes().Lookup(&warrenv1.Ref{Namespace: m.GetNamespace(), NameOrId: m.GetName()}))
	switch {
	case err != nil:
		return err
	case holder == nil || holder.GetMeta().GetId() == m.GetId():
		return nil
	case holder.GetDeletedAt() != nil && holder.GetTrashedAt() == nil:
		return volumeGoingAway(holder)
	}
	return spec.Problemf(spec.Exists, spec.KindVolume, m.GetName(), "volume %q already exists", m.GetName()).
		WithHint("warren volume undelete %s --as ANOTHER-NAME", was)
}

// findTrashed returns the volume in the trash that a person means: by ID, or by
// the name that it had, if only one of that name is there.
func findTrashed(tx *store.Tx, ref *warrenv1.Ref) (*warrenv1.Volume, error) {
	name := ref.GetNameOrId()
	volume, err := find(tx.Volumes(), spec.KindVolume, ref)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	if err == nil && volume.GetTrashedAt() != nil {
		return volume, nil
	}
	var ids []string
	for key, v := range tx.Volumes().List(spec.Namespace(ref.GetNamespace())) {
		if v.GetMeta().GetName() == name && spec.InTrash(v) {
			ids = append(ids, key.ID())
		}
	}
	switch len(ids) {
	case 0:
		return nil, spec.Problemf(spec.NotFound, spec.KindVolume, name, "there is no volume %q in the trash", name).
			WithHint("warren volume trash")
	case 1:
		return tx.Volumes().Get(spec.Namespace(ref.GetNamespace()), ids[0])
	}
	return nil, spec.Problemf(spec.Refused, spec.KindVolume, name, "there are %d volumes in the trash that were %q: %s", len(ids), name, strings.Join(ids, ", ")).
		WithHint("name the one that you mean by its ID; warren volume trash -o wide shows when each was deleted")
}

func isNotFound(err error) bool {
	var p *spec.Problem
	return errors.As(err, &p) && p.Code == spec.NotFound
}
