package server

import (
	"context"
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// ResizeVolume raises a volume's limit and waits until its node has done it.
// When it cannot, the limit stays as it was.
func (v *volumes) ResizeVolume(ctx context.Context, r *warrenv1.ResizeVolumeRequest) (*warrenv1.Volume, error) {
	var before uint64
	id, err := v.commit(ctx, func(tx *store.Tx) (string, error) {
		volume, err := find(tx.Volumes(), spec.KindVolume, r.GetRef())
		if err != nil {
			return "", err
		}
		m := volume.GetMeta()
		if volume.GetDeletedAt() != nil {
			return "", spec.Problemf(spec.Refused, spec.KindVolume, m.GetName(), "volume %q was deleted", m.GetName())
		}
		if err := spec.MayResize(volume, r.GetSizeBytes()); err != nil {
			return "", err
		}
		before = volume.GetSpec().GetSizeBytes()
		volume.Spec.SizeBytes = r.GetSizeBytes()
		m.UpdatedAt = v.now()
		if err := tx.Volumes().Put(volume); err != nil {
			return "", err
		}
		return m.GetId(), settle(tx, m.GetNamespace())
	})
	if err != nil {
		return nil, err
	}
	ref := &warrenv1.Ref{Namespace: r.GetRef().GetNamespace(), NameOrId: id}
	err = v.await(ctx, v.config.Patience, resized(ref, r.GetSizeBytes()), volumeTables...)
	if err != nil {
		return nil, v.notResized(ctx, ref, before, r.GetSizeBytes(), err)
	}
	volume, err := v.read(ctx, ref)
	if err != nil || before == r.GetSizeBytes() || before == 0 { // it was done before
		return volume, err
	}
	message := fmt.Sprintf("from %s to %s by %s", spec.FormatSize(before), spec.FormatSize(r.GetSizeBytes()), callerName(ctx))
	return volume, v.store.Update(apart(ctx), func(tx *store.Tx) error {
		return tx.Events().Append(v.event(volume.GetMeta(), spec.KindVolume, "resized", message))
	})
}

// resized looks whether the volume has that limit.
func resized(ref *warrenv1.Ref, size uint64) look {
	return func(tx *store.ReadTx) (string, bool, error) {
		s, err := optional(tx.VolumeStatus().Get(spec.Namespace(ref.GetNamespace()), ref.GetNameOrId()))
		if err == nil && s.GetResizeBytes() == size && s.GetResizeMessage() != "" {
			err = errors.New(s.GetResizeMessage())
		}
		return fmt.Sprint(s.GetLimitBytes(), s.GetResizeMessage()), s.GetLimitBytes() >= size, err
	}
}

// notResized takes back what a node did not do, unless somebody has asked for
// more meanwhile.
func (v *volumes) notResized(ctx context.Context, ref *warrenv1.Ref, before, size uint64, cause error) error {
	ctx, cancel := context.WithTimeout(apart(context.WithoutCancel(ctx)), v.config.Patience)
	defer cancel()
	var name string
	err := v.store.Update(ctx, func(tx *store.Tx) error {
		volume, err := tx.Volumes().Get(spec.Namespace(ref.GetNamespace()), ref.GetNameOrId())
		if err != nil {
			return err
		}
		name = volume.GetMeta().GetName()
		if before == 0 || volume.GetSpec().GetSizeBytes() != size {
			return nil
		}
		volume.Spec.SizeBytes = before
		return tx.Volumes().Put(volume)
	})
	if err != nil {
		return err
	}
	why := cause.Error()
	if errors.Is(cause, errStalled) {
		why = "its node has not done it in time"
	}
	return spec.Problemf(spec.Refused, spec.KindVolume, name, "volume %q keeps its limit of %s: %s", name, spec.FormatSize(before), why).
		WithHint("warren volume inspect %s", name)
}
