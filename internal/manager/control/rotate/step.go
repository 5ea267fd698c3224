package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/failpoint"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// change is what one step does to a rotation and to the keys.
type change func(tx *store.Tx, rotation *warrenv1.Rotation, keys *storepb.ClusterKeys) (*storepb.ClusterKeys, error)

// advance makes a change if the rotation is still in that phase.
func (r *Reconciler) advance(ctx context.Context, from, to warrenv1.RotationPhase, do change) error {
	err := r.store.Update(ctx, func(tx *store.Tx) error {
		rotation, err := tx.Rotation().Get()
		if err != nil || rotation.GetPhase() != from {
			return unlessNotFound(err)
		}
		keys, err := tx.ClusterKeys().Get()
		if err != nil {
			return err
		}
		if keys, err = do(tx, rotation, keys); err != nil {
			return err
		}
		rotation.Phase, rotation.Message = to, ""
		return errors.Join(tx.Rotation().Put(rotation), tx.ClusterKeys().Put(keys))
	})
	if err != nil {
		return err
	}
	failpoint.Hit("rotate." + strings.ToLower(strings.TrimPrefix(to.String(), "ROTATION_PHASE_")))
	return nil
}

// publish puts a new data key into the ring, where it only opens.
func (r *Reconciler) publish(ctx context.Context) error {
	return r.advance(ctx, warrenv1.RotationPhase_ROTATION_PHASE_REQUESTED, warrenv1.RotationPhase_ROTATION_PHASE_PUBLISHED,
		func(_ *store.Tx, rotation *warrenv1.Rotation, keys *storepb.ClusterKeys) (*storepb.ClusterKeys, error) {
			next, id, err := r.vault.Publish(keys)
			rotation.PreviousKeyId, rotation.KeyId = keys.GetSealsWith(), id
			return next, err
		})
}

// promote has the new data key seal.
func (r *Reconciler) promote(ctx context.Context) error {
	return r.advance(ctx, warrenv1.RotationPhase_ROTATION_PHASE_PUBLISHED, warrenv1.RotationPhase_ROTATION_PHASE_RESEALING,
		func(tx *store.Tx, rotation *warrenv1.Rotation, keys *storepb.ClusterKeys) (*storepb.ClusterKeys, error) {
			for range tx.SecretValues().Keys() {
				rotation.Total++
			}
			return r.vault.Promote(keys, rotation.GetKeyId())
		})
}

// holdersPause is how long managers have to put a key away before they are
// asked again.
const holdersPause = 100 * time.Millisecond

// handOut waits until the managers have the next unlock key, if there is one,
// and then drops the old keys. A manager that does not answer gets it from
// another one when it is back.
func (r *Reconciler) handOut(ctx context.Context) error {
	for {
		rotation, err := r.current(ctx)
		if err != nil {
			return err
		}
		if rotation.GetNextUnlockKeyFingerprint() == "" {
			return r.retire(ctx)
		}
		lacking, err := r.keeper.Lacking(ctx, rotation.GetNextUnlockKeyFingerprint())
		if err != nil {
			return err
		}
		if len(lacking) == 0 {
			return r.retire(ctx)
		}
		if err := r.tell(ctx, "the next unlock key is not safe yet on "+strings.Join(lacking, ", ")); err != nil {
			return err
		}
		select {
		case <-time.After(holdersPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell notes what the rotation waits for.
func (r *Reconciler) tell(ctx context.Context, message string) error {
	return r.store.Update(ctx, func(tx *store.Tx) error {
		rotation, err := tx.Rotation().Get()
		if err != nil || rotation.GetMessage() == message {
			return err
		}
		rotation.Message = message
		return tx.Rotation().Put(rotation)
	})
}

// retire drops the old data keys and, with a next unlock key, has the ring open
// with that alone.
func (r *Reconciler) retire(ctx context.Context) error {
	now := timestamppb.New(r.now())
	return r.advance(ctx, warrenv1.RotationPhase_ROTATION_PHASE_HANDING_OUT, warrenv1.RotationPhase_ROTATION_PHASE_DONE,
		func(tx *store.Tx, rotation *warrenv1.Rotation, keys *storepb.ClusterKeys) (*storepb.ClusterKeys, error) {
			next, err := r.vault.Retire(keys, rotation.GetKeyId())
			if err != nil {
				return nil, err
			}
			rotation.FinishedAt = now
			cluster, err := tx.Cluster().Get()
			if err != nil {
				return nil, err
			}
			if fresh := next.GetUnlockKeyFingerprint(); fresh != cluster.GetUnlockKeyFingerprint() {
				// Who makes a next unlock key has it before the cluster does.
				cluster.UnlockKeyFingerprint, cluster.UnlockKeyExportedAt = fresh, now
				if err := tx.Cluster().Put(cluster); err != nil {
					return nil, err
				}
			}
			return next, tx.Events().Append(&warrenv1.Event{
				Time: now, Kind: "cluster", Name: cluster.GetName(), Id: cluster.GetId(), Reason: "keys-rotated",
				Message: fmt.Sprintf("%d values are sealed with key %s (%s)", rotation.GetDone(), rotation.GetKeyId(), rotation.GetReason()),
			})
		})
}
