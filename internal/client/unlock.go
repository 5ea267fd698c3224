package client

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

// Unlock opens the keys of the manager that the client speaks to. Only that
// manager can open what is sent.
func (c *Client) Unlock(ctx context.Context, unlock seal.UnlockKey) (*warrenv1.KeyState, error) {
	state, err := c.Keys.GetKeyState(ctx, &warrenv1.GetKeyStateRequest{})
	if err != nil || !state.GetSealed() {
		return state, err
	}
	envelope, err := sealUnlockKey(unlock, state.GetPublicKey(), seal.ToManagerInfo(state.GetClusterId(), state.GetNodeId()))
	if err != nil {
		return nil, err
	}
	return c.Keys.Unlock(ctx, &warrenv1.UnlockRequest{SealedUnlockKey: envelope})
}

// UnlockKey gets the cluster's unlock key, which the caller destroys. The
// cluster notes who got it.
func (c *Client) UnlockKey(ctx context.Context) (unlock seal.UnlockKey, err error) {
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil {
		return unlock, err
	}
	receiver, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return unlock, err
	}
	defer receiver.Destroy()
	public := receiver.PublicKey()
	answer, err := c.Keys.ExportUnlockKey(ctx, &warrenv1.ExportUnlockKeyRequest{PublicKey: public})
	if err != nil {
		return unlock, err
	}
	text, err := receiver.Open(seal.ToHolderInfo(cluster.GetId(), public), answer.GetSealedUnlockKey())
	if err != nil {
		return unlock, fmt.Errorf("the unlock key that the manager at %s sent: %w", c.Address(), err)
	}
	defer text.Destroy()
	return seal.ParseUnlockKey(string(text.Bytes()))
}

// RotateUnlockKey has the cluster take a new unlock key in the place of the
// present one, which then opens nothing any more. The data keys are rotated
// with it.
func (c *Client) RotateUnlockKey(ctx context.Context, next seal.UnlockKey) (*warrenv1.Rotation, error) {
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil {
		return nil, err
	}
	envelope, err := sealUnlockKey(next, cluster.GetSealingKey(), seal.ToClusterUnlockInfo(cluster.GetId()))
	if err != nil {
		return nil, err
	}
	return c.Keys.RotateKeys(ctx, &warrenv1.RotateKeysRequest{SealedUnlockKey: envelope})
}

func sealUnlockKey(unlock seal.UnlockKey, publicKey, info []byte) ([]byte, error) {
	text, err := seal.PlaintextFrom([]byte(unlock.Reveal()))
	if err != nil {
		return nil, err
	}
	defer text.Destroy()
	return seal.SealTo(publicKey, info, text)
}
