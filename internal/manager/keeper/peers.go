package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
)

// askLimit is how long another manager may take to answer.
const askLimit = 2 * time.Second

// Answer is what another manager says of its keys, or why it says nothing.
type Answer struct {
	Peer
	State *warrenv1.KeyState
	Err   error
}

// Ask asks all other managers at once.
func (k *Keeper) Ask(ctx context.Context) ([]Answer, error) {
	others, err := k.Peers.Others()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	answers := make(chan Answer, len(others))
	for _, peer := range others {
		go func() {
			a := Answer{Peer: peer}
			conn, err := k.Peers.To(peer.Address)
			if err == nil {
				a.State, err = warrenv1.NewKeysClient(conn).GetKeyState(ctx, &warrenv1.GetKeyStateRequest{})
			}
			a.Err = err
			answers <- a
		}()
	}
	all := make([]Answer, len(others))
	for i := range all {
		all[i] = <-answers // each ends with ctx at the latest
	}
	return all, nil
}

// Managers says how all managers are, this one first. It does not know their
// names.
func (k *Keeper) Managers(ctx context.Context) ([]*warrenv1.KeyHolder, error) {
	answers, err := k.Ask(ctx)
	if err != nil {
		return nil, err
	}
	leader := k.Peers.Leader()
	all := []*warrenv1.KeyHolder{{NodeId: k.NodeID, Sealed: k.Vault.Sealed(), Leader: leader == k.NodeID}}
	for _, a := range answers {
		m := &warrenv1.KeyHolder{NodeId: a.NodeID, Address: a.Address, Sealed: a.State.GetSealed(), Leader: leader == a.NodeID}
		if a.Err != nil {
			m.Unreachable = status.Convert(a.Err).Message()
		}
		all = append(all, m)
	}
	return all, nil
}

// Lacking names the managers, this one included, that answer and are not
// sealed, but do not hold the unlock key with that fingerprint.
func (k *Keeper) Lacking(ctx context.Context, fingerprint string) ([]string, error) {
	answers, err := k.Ask(ctx)
	if err != nil {
		return nil, err
	}
	var lacking []string
	for _, state := range append([]*warrenv1.KeyState{k.State()}, states(answers)...) {
		if !state.GetSealed() && state.GetNextUnlockKeyFingerprint() != fingerprint && state.GetUnlockKeyFingerprint() != fingerprint {
			lacking = append(lacking, state.GetNodeName())
		}
	}
	return lacking, nil
}

func states(answers []Answer) (out []*warrenv1.KeyState) {
	for _, a := range answers {
		if a.Err == nil {
			out = append(out, a.State)
		}
	}
	return out
}

// State is what this manager has of the cluster's keys.
func (k *Keeper) State() *warrenv1.KeyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &warrenv1.KeyState{
		ClusterId: k.Vault.ClusterID(), NodeId: k.NodeID, NodeName: k.NodeName,
		Sealed: k.Vault.Sealed(), UnlockKeyFingerprint: k.needed,
		PublicKey: k.channel.PublicKey(), KeyIds: k.Vault.KeyIDs(),
	}
	if !k.next.IsZero() {
		s.NextUnlockKeyFingerprint = k.next.Fingerprint()
	}
	return s
}

// UnlockKey seals the unlock key to who holds that public key, and gives its
// fingerprint.
func (k *Keeper) UnlockKey(info, publicKey []byte) (envelope []byte, fingerprint string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Vault.Sealed() || k.unlock.IsZero() {
		return nil, "", vault.ErrSealed
	}
	envelope, err = vault.SealUnlockKey(k.unlock, publicKey, info)
	return envelope, k.unlock.Fingerprint(), err
}

// Unlock opens the vault with a key that a person has sealed to State's public
// key. vault.ErrLocked when it is another one than the cluster's keys need.
func (k *Keeper) Unlock(ctx context.Context, envelope []byte) error {
	text, err := k.channel.Open(seal.ToManagerInfo(k.Vault.ClusterID(), k.NodeID), envelope)
	if err != nil {
		return err
	}
	defer text.Destroy()
	unlock, err := seal.ParseUnlockKey(string(text.Bytes()))
	if err != nil {
		return err
	}
	k.mu.Lock()
	cluster, row, err := k.rows(ctx)
	if err != nil {
		k.mu.Unlock()
		unlock.Destroy()
		return err
	}
	if err := k.Vault.Load(cluster, row, unlock); err != nil {
		k.mu.Unlock()
		unlock.Destroy()
		return err
	}
	k.hold(unlock)
	k.loaded = string(row.GetWrappedRing())
	k.mu.Unlock()
	k.Log.Info("unlocked", "fingerprint", row.GetUnlockKeyFingerprint())
	return k.Sync(ctx)
}

// fetch asks the other managers for the unlock key with that fingerprint.
func (k *Keeper) fetch(ctx context.Context, fingerprint string) (seal.UnlockKey, error) {
	others, err := k.Peers.Others()
	if err != nil {
		return seal.UnlockKey{}, err
	}
	if len(others) == 0 {
		return seal.UnlockKey{}, fmt.Errorf("the cluster's keys need unlock key %s, and there is no other manager to give it", fingerprint)
	}
	var failed []error
	for _, peer := range others {
		u, err := k.fetchFrom(ctx, peer, fingerprint)
		if err == nil {
			return u, nil
		}
		failed = append(failed, fmt.Errorf("manager %s at %s: %w", peer.NodeID, peer.Address, err))
	}
	return seal.UnlockKey{}, fmt.Errorf("the cluster's keys need unlock key %s: %w", fingerprint, errors.Join(failed...))
}

func (k *Keeper) fetchFrom(ctx context.Context, peer Peer, fingerprint string) (u seal.UnlockKey, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := k.Peers.To(peer.Address)
	if err != nil {
		return u, err
	}
	public := k.channel.PublicKey()
	answer, err := warrenv1.NewKeysClient(conn).FetchUnlockKey(ctx, &warrenv1.ExportUnlockKeyRequest{PublicKey: public})
	if err != nil {
		return u, err
	}
	text, err := k.channel.Open(seal.ToHolderInfo(k.Vault.ClusterID(), public), answer.GetSealedUnlockKey())
	if err != nil {
		return u, err
	}
	defer text.Destroy()
	if u, err = seal.ParseUnlockKey(string(text.Bytes())); err != nil {
		return u, err
	}
	if have := u.Fingerprint(); have != fingerprint {
		u.Destroy()
		return seal.UnlockKey{}, fmt.Errorf("it has unlock key %s", have)
	}
	return u, nil
}

// Close forgets the keys.
func (k *Keeper) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Vault.Close()
	for _, u := range []seal.UnlockKey{k.unlock, k.next} {
		if !u.IsZero() {
			u.Destroy()
		}
	}
	k.unlock, k.next = seal.UnlockKey{}, seal.UnlockKey{}
	k.channel.Destroy()
}
