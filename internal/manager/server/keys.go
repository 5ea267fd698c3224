package server

import (
	"context"
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// Keeper holds this manager's unlock key, and knows what the others hold.
type Keeper interface {
	// State is what this manager has of the cluster's keys.
	State() *warrenv1.KeyState
	// Unlock opens them with an unlock key that is sealed to State's public key.
	Unlock(ctx context.Context, envelope []byte) error
	// UnlockKey gives the unlock key in an envelope for the holder of a public
	// key, and its fingerprint; vault.ErrSealed when there is none.
	UnlockKey(info, publicKey []byte) (envelope []byte, fingerprint string, err error)
	// Managers says how all managers are.
	Managers(ctx context.Context) ([]*warrenv1.KeyHolder, error)
}

type keys struct {
	warrenv1.UnimplementedKeysServer
	*Server
}

const unlockCommand = "warren cluster unlock --manager ADDRESS, with the address of this manager"

func sealedProblem() *spec.Problem {
	return spec.Problemf(spec.Unavailable, "manager", "", "this manager is sealed: nobody gave it the unlock key since it started").
		WithHint(unlockCommand)
}

// checkOpen refuses what takes open keys while there are none.
func (s *Server) checkOpen(method string) error {
	if s.config.Keeper == nil || s.rules[method].GetSealed() || !s.config.Vault.Sealed() {
		return nil
	}
	return sealedProblem()
}

// GetKeyState says what this manager has of the cluster's keys.
func (k *keys) GetKeyState(context.Context, *warrenv1.GetKeyStateRequest) (*warrenv1.KeyState, error) {
	return k.config.Keeper.State(), nil
}

// ListKeyHolders asks every manager whether its keys are open.
func (k *keys) ListKeyHolders(ctx context.Context, _ *warrenv1.ListKeyHoldersRequest) (*warrenv1.ListKeyHoldersResponse, error) {
	managers, err := k.config.Keeper.Managers(ctx)
	if err != nil {
		return nil, err
	}
	err = k.store.View(ctx, func(tx *store.ReadTx) error {
		for _, m := range managers {
			if m.Name, err = nodeName(tx, m.GetNodeId()); err != nil {
				return err
			}
		}
		return nil
	})
	return &warrenv1.ListKeyHoldersResponse{Managers: managers}, err
}

// Unlock opens this manager's keys.
func (k *keys) Unlock(ctx context.Context, r *warrenv1.UnlockRequest) (*warrenv1.KeyState, error) {
	if state := k.config.Keeper.State(); !state.GetSealed() {
		return state, nil
	}
	err := k.config.Keeper.Unlock(ctx, r.GetSealedUnlockKey())
	switch {
	case errors.Is(err, seal.ErrEnvelope):
		return nil, spec.Problemf(spec.Invalid, "manager", "", "the unlock key was not sealed for this run of this manager").
			WithHint("try again")
	case errors.Is(err, vault.ErrLocked):
		k.log.Warn("refused an unlock key", "caller", callerName(ctx), "error", err)
		return nil, spec.Problemf(spec.Denied, "unlock key", "", "%v", err).
			WithHint("take the key with the first fingerprint, as `warren cluster info` shows it")
	case err != nil:
		return nil, err
	}
	k.log.Info("unlocked by a person", "caller", callerName(ctx))
	return k.config.Keeper.State(), nil
}

// RotateKeys asks for a rotation, which others carry out.
func (k *keys) RotateKeys(ctx context.Context, r *warrenv1.RotateKeysRequest) (*warrenv1.Rotation, error) {
	_, err := k.commit(ctx, func(tx *store.Tx) (string, error) {
		last, err := optional(tx.Rotation().Get())
		if err != nil {
			return "", err
		}
		if last != nil && last.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_DONE {
			return "", spec.Problemf(spec.InUse, "key ring", "", "a rotation is under way already").
				WithHint("warren cluster rotate-keys --watch shows how far it is")
		}
		next := &warrenv1.Rotation{
			Number: last.GetNumber() + 1, Phase: warrenv1.RotationPhase_ROTATION_PHASE_REQUESTED,
			Reason: "by " + callerName(ctx), StartedAt: k.now(),
		}
		if len(r.GetSealedUnlockKey()) > 0 {
			if next.NextUnlockKeyFingerprint, err = k.takeUnlockKey(tx, r.GetSealedUnlockKey()); err != nil {
				return "", err
			}
		}
		return fmt.Sprint(next.GetNumber()), tx.Rotation().Put(next)
	})
	if err != nil {
		return nil, err
	}
	return k.GetRotation(ctx, &warrenv1.GetRotationRequest{})
}

// takeUnlockKey keeps the next unlock key, sealed by the ring, and gives its
// fingerprint.
func (k *keys) takeUnlockKey(tx *store.Tx, envelope []byte) (fingerprint string, err error) {
	row, err := tx.ClusterKeys().Get()
	if err != nil {
		return "", err
	}
	next, err := k.config.Vault.AcceptUnlockKey(row, envelope)
	if errors.Is(err, seal.ErrEnvelope) {
		return "", spec.Problemf(spec.Invalid, "unlock key", "", "the unlock key was not sealed for this cluster, or damaged on the way")
	}
	if err != nil {
		return "", err
	}
	return next.GetNextUnlockKeyFingerprint(), tx.ClusterKeys().Put(next)
}

// GetRotation tells how far the last rotation is.
func (k *keys) GetRotation(ctx context.Context, _ *warrenv1.GetRotationRequest) (rotation *warrenv1.Rotation, err error) {
	err = k.store.View(ctx, func(tx *store.ReadTx) error {
		rotation, err = optional(tx.Rotation().Get())
		return err
	})
	if rotation == nil {
		rotation = &warrenv1.Rotation{}
	}
	return rotation, err
}

// ExportUnlockKey gives the unlock key to a person.
func (k *keys) ExportUnlockKey(ctx context.Context, r *warrenv1.ExportUnlockKeyRequest) (*warrenv1.ExportedUnlockKey, error) {
	answer, err := k.handOver(r)
	if err != nil {
		return nil, err
	}
	_, err = k.commit(ctx, func(tx *store.Tx) (string, error) {
		cluster, err := tx.Cluster().Get()
		if err != nil {
			return "", err
		}
		cluster.UnlockKeyExportedAt = k.now()
		return cluster.GetId(), errors.Join(tx.Cluster().Put(cluster), tx.Events().Append(&warrenv1.Event{
			Time: k.now(), Kind: "cluster", Name: cluster.GetName(), Id: cluster.GetId(),
			Reason: "unlock-key-exported", Message: "to " + callerName(ctx),
		}))
	})
	return answer, err
}

// FetchUnlockKey gives the unlock key to another manager. Where managers are to
// start sealed none may get it without a person: its certificate is on the disk
// that the key is kept from.
func (k *keys) FetchUnlockKey(ctx context.Context, r *warrenv1.ExportUnlockKeyRequest) (*warrenv1.ExportedUnlockKey, error) {
	autolock, err := k.autolock(ctx)
	if err != nil {
		return nil, err
	}
	if autolock {
		return nil, spec.Problemf(spec.Denied, "unlock key", "", "the cluster locks itself: managers get the unlock key from people only").
			WithHint(unlockCommand)
	}
	k.log.Info("a manager is given the unlock key", "manager", callerName(ctx))
	return k.handOver(r)
}

func (k *keys) handOver(r *warrenv1.ExportUnlockKeyRequest) (*warrenv1.ExportedUnlockKey, error) {
	info := seal.ToHolderInfo(k.config.Vault.ClusterID(), r.GetPublicKey())
	envelope, fingerprint, err := k.config.Keeper.UnlockKey(info, r.GetPublicKey())
	if errors.Is(err, vault.ErrSealed) {
		return nil, err
	}
	if err != nil {
		return nil, spec.Problemf(spec.Invalid, "unlock key", "", "it cannot be sealed to the caller: %v", err)
	}
	return &warrenv1.ExportedUnlockKey{Fingerprint: fingerprint, SealedUnlockKey: envelope}, nil
}
