package cli_test

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"google.golang.org/grpc/codes"
)

// stageKeys is what the stage plays of the cluster's keys. Its unlock key is
// always the same, so that scripts can give it.
type stageKeys struct {
	warrenv1.UnimplementedKeysServer
	unlock   seal.UnlockKey
	channel  *seal.EnvelopeKey
	sealed   bool
	rotation *warrenv1.Rotation
	sealing  *seal.EnvelopeKey
}

func newStageKeys(sealing *seal.EnvelopeKey) (*stageKeys, error) {
	unlock, err := seal.NewUnlockKey(sevens{})
	if err != nil {
		return nil, err
	}
	channel, err := seal.GenerateEnvelopeKey()
	return &stageKeys{unlock: unlock, channel: channel, sealed: true, rotation: &warrenv1.Rotation{}, sealing: sealing}, err
}

// sevens is a source of bytes that are no secret.
type sevens struct{}

func (sevens) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 7
	}
	return len(b), nil
}

func (k *stageKeys) GetKeyState(context.Context, *warrenv1.GetKeyStateRequest) (*warrenv1.KeyState, error) {
	return &warrenv1.KeyState{
		ClusterId: clusterID, NodeId: "n1", NodeName: "manager-1", Sealed: k.sealed,
		UnlockKeyFingerprint: k.unlock.Fingerprint(), PublicKey: k.channel.PublicKey(),
	}, nil
}

func (k *stageKeys) Unlock(ctx context.Context, r *warrenv1.UnlockRequest) (*warrenv1.KeyState, error) {
	text, err := k.channel.Open(seal.ToManagerInfo(clusterID, "n1"), r.GetSealedUnlockKey())
	if err != nil {
		return nil, err
	}
	defer text.Destroy()
	given, err := seal.ParseUnlockKey(string(text.Bytes()))
	if err != nil {
		return nil, err
	}
	if !given.Equal(k.unlock) {
		return nil, refuse(codes.PermissionDenied, "unlock key", "", "another one is needed", "")
	}
	k.sealed = false
	return k.GetKeyState(ctx, nil)
}

func (k *stageKeys) ListKeyHolders(context.Context, *warrenv1.ListKeyHoldersRequest) (*warrenv1.ListKeyHoldersResponse, error) {
	return &warrenv1.ListKeyHoldersResponse{Managers: []*warrenv1.KeyHolder{
		{NodeId: "n1", Name: "manager-1", Sealed: k.sealed}, {NodeId: "n2", Name: "manager-2", Leader: true}, {NodeId: "n3", Name: "manager-3", Unreachable: "gone"},
	}}, nil
}

func (k *stageKeys) RotateKeys(_ context.Context, r *warrenv1.RotateKeysRequest) (*warrenv1.Rotation, error) {
	k.rotation = &warrenv1.Rotation{Number: k.rotation.GetNumber() + 1, Phase: warrenv1.RotationPhase_ROTATION_PHASE_REQUESTED, Reason: "by root", StartedAt: moment}
	if sealed := r.GetSealedUnlockKey(); sealed != nil {
		text, err := k.sealing.Open(seal.ToClusterUnlockInfo(clusterID), sealed)
		if err != nil {
			return nil, err
		}
		defer text.Destroy()
		if k.unlock, err = seal.ParseUnlockKey(string(text.Bytes())); err != nil {
			return nil, err
		}
	}
	return k.rotation, nil
}

// GetRotation plays one phase for each time it is asked.
func (k *stageKeys) GetRotation(context.Context, *warrenv1.GetRotationRequest) (*warrenv1.Rotation, error) {
	if k.rotation.GetNumber() > 0 && k.rotation.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_DONE {
		k.rotation.Phase++
		k.rotation.Total, k.rotation.Done, k.rotation.KeyId = 3, 3, "0123456789abcdef"
	}
	return k.rotation, nil
}

func (k *stageKeys) ExportUnlockKey(_ context.Context, r *warrenv1.ExportUnlockKeyRequest) (*warrenv1.ExportedUnlockKey, error) {
	text, err := seal.PlaintextFrom([]byte(k.unlock.Reveal()))
	if err != nil {
		return nil, err
	}
	defer text.Destroy()
	envelope, err := seal.SealTo(r.GetPublicKey(), seal.ToHolderInfo(clusterID, r.GetPublicKey()), text)
	return &warrenv1.ExportedUnlockKey{Fingerprint: k.unlock.Fingerprint(), SealedUnlockKey: envelope}, err
}

func (st *stage) UpdateCluster(ctx context.Context, r *warrenv1.UpdateClusterRequest) (*warrenv1.Cluster, error) {
	if r.GetAutolock() {
		return nil, refuse(codes.FailedPrecondition, "cluster", "", "nobody was ever given the unlock key", "warren cluster unlock-key")
	}
	return st.GetCluster(ctx, nil)
}
