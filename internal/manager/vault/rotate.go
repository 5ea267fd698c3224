package vault

import (
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
)

// The steps of a rotation. Each takes the ClusterKeys row as it is and returns
// it as it will be; the vault itself changes once that is loaded. All of them
// can be repeated.

// nextUnlock is what the next unlock key is sealed as while it is handed out.
const nextUnlock = "next-unlock"

// Publish adds a data key that opens and does not seal yet, and names it.
func (v *Vault) Publish(row *storepb.ClusterKeys) (next *storepb.ClusterKeys, keyID string, err error) {
	next, err = v.reringed(row, func(r *seal.Ring) (*seal.Ring, error) {
		fresh, id, err := r.WithNewKey(rand.Reader)
		keyID = id
		return fresh, err
	})
	return next, keyID, err
}

// Promote makes the data key of that ID the one that seals.
func (v *Vault) Promote(row *storepb.ClusterKeys, keyID string) (*storepb.ClusterKeys, error) {
	next, err := v.reringed(row, func(r *seal.Ring) (*seal.Ring, error) { return r.SealingWith(keyID) })
	if err == nil {
		next.SealsWith = keyID
	}
	return next, err
}

// ResealKeys seals the cluster's own private keys again with the data key that
// seals now.
func (v *Vault) ResealKeys(row *storepb.ClusterKeys) (*storepb.ClusterKeys, error) {
	next := proto.CloneOf(row)
	err := v.with(func(k *keys) error {
		if have := k.ring.KeyID(); have != row.GetSealsWith() {
			return fmt.Errorf("seal the cluster's keys again: this manager still seals with key %s, not with %s", have, row.GetSealsWith())
		}
		x := k.ring.Resealer()
		defer x.Destroy()
		for name, box := range map[string]**storepb.SealedBox{
			"ca": &next.CaKey, "sealing": &next.SealingKey, nextUnlock: &next.NextUnlockKey,
		} {
			if *box == nil {
				continue
			}
			fresh, err := x.Reseal(rand.Reader, clusterKey(v.clusterID, name), boxOf(*box))
			if err != nil {
				return err
			}
			*box = stored(fresh)
		}
		return nil
	})
	return next, err
}

// Retire drops all data keys but that one, and with a next unlock key in the
// row has the ring open with that one alone.
func (v *Vault) Retire(row *storepb.ClusterKeys, keyID string) (*storepb.ClusterKeys, error) {
	// A key that something still needs is never dropped.
	for _, box := range []*storepb.SealedBox{row.GetCaKey(), row.GetSealingKey(), row.GetNextUnlockKey()} {
		if box != nil && box.GetKeyId() != keyID {
			return nil, fmt.Errorf("key %s still seals the cluster's own keys: it is not dropped", box.GetKeyId())
		}
	}
	if row.GetNextUnlockKey() == nil {
		return v.reringed(row, func(r *seal.Ring) (*seal.Ring, error) { return r.Only(keyID) })
	}
	unlock, err := v.NextUnlockKey(row)
	if err != nil {
		return nil, err
	}
	defer unlock.Destroy()
	next := proto.CloneOf(row)
	kek, err := lockWith(next, v.clusterID, unlock)
	if err != nil {
		return nil, err
	}
	defer kek.Destroy()
	next.NextUnlockKey, next.NextUnlockKeyFingerprint = nil, ""
	err = v.rewrap(row, next, kek, func(r *seal.Ring) (*seal.Ring, error) { return r.Only(keyID) })
	return next, err
}

// reringed returns the row with its ring changed, under the same unlock key.
func (v *Vault) reringed(row *storepb.ClusterKeys, change func(*seal.Ring) (*seal.Ring, error)) (*storepb.ClusterKeys, error) {
	next := proto.CloneOf(row)
	return next, v.rewrap(row, next, nil, change)
}

// rewrap changes the row's own ring, not the one that is loaded: the row may be
// newer. A nil kek is the present one.
func (v *Vault) rewrap(row, next *storepb.ClusterKeys, kek *seal.KEK, change func(*seal.Ring) (*seal.Ring, error)) error {
	return v.with(func(k *keys) error {
		if kek == nil {
			kek = k.kek
		}
		ring, err := seal.UnwrapRing(k.kek, row.GetWrappedRing())
		if err != nil {
			return err
		}
		defer ring.Destroy()
		changed, err := change(ring)
		if err != nil {
			return err
		}
		defer changed.Destroy()
		next.WrappedRing, err = changed.Wrap(rand.Reader, kek)
		return err
	})
}

// AcceptUnlockKey opens the next unlock key as a person sealed it, and puts it
// into the row, sealed by the ring.
func (v *Vault) AcceptUnlockKey(row *storepb.ClusterKeys, envelope []byte) (*storepb.ClusterKeys, error) {
	next := proto.CloneOf(row)
	err := v.with(func(k *keys) error {
		text, err := k.envelope.Open(seal.ToClusterUnlockInfo(v.clusterID), envelope)
		if err != nil {
			return err
		}
		defer text.Destroy()
		unlock, err := seal.ParseUnlockKey(string(text.Bytes()))
		if err != nil {
			return err
		}
		defer unlock.Destroy()
		next.NextUnlockKeyFingerprint = unlock.Fingerprint()
		next.NextUnlockKey, err = k.sealKey(v.clusterID, nextUnlock, func() (*seal.Plaintext, error) {
			return seal.PlaintextFrom([]byte(unlock.Reveal()))
		})
		return err
	})
	return next, err
}

// NextUnlockKey opens the unlock key that is being handed out; the caller
// destroys it.
func (v *Vault) NextUnlockKey(row *storepb.ClusterKeys) (unlock seal.UnlockKey, err error) {
	if row.GetNextUnlockKey() == nil {
		return unlock, errors.New("there is no next unlock key")
	}
	err = v.with(func(k *keys) error {
		text, err := k.openKey(v.clusterID, nextUnlock, row.GetNextUnlockKey())
		if err != nil {
			return err
		}
		defer text.Destroy()
		unlock, err = seal.ParseUnlockKey(string(text.Bytes()))
		return err
	})
	return unlock, err
}

// SealUnlockKey puts an unlock key into an envelope for the holder of a public
// key, bound to info.
func SealUnlockKey(unlock seal.UnlockKey, publicKey, info []byte) ([]byte, error) {
	text, err := seal.PlaintextFrom([]byte(unlock.Reveal()))
	if err != nil {
		return nil, err
	}
	defer text.Destroy()
	return seal.SealTo(publicKey, info, text)
}

// Stored is a sealed value, and what it belongs to.
type Stored struct {
	Object Object
	Items  []*storepb.SecretItem
}

// Reseal seals values again with the data key that seals now, each bound to
// what it was bound to. What does not open is left as it is, and told by its
// place.
func (v *Vault) Reseal(values []Stored) (unreadable map[int]error, err error) {
	unreadable = map[int]error{}
	err = v.with(func(k *keys) error {
		x := k.ring.Resealer()
		defer x.Destroy()
		for i, value := range values {
			fresh, err := v.reseal(x, value)
			switch {
			case err == nil:
				for j, box := range fresh {
					value.Items[j].Box = box
				}
			case errors.Is(err, seal.ErrAltered), errors.Is(err, seal.ErrUnknownKey):
				unreadable[i] = err
			default:
				return fmt.Errorf("seal again: %w", err)
			}
		}
		return nil
	})
	return unreadable, err
}

func (v *Vault) reseal(x *seal.Resealer, value Stored) ([]*storepb.SealedBox, error) {
	fresh := make([]*storepb.SealedBox, len(value.Items))
	for j, item := range value.Items {
		box, err := x.Reseal(rand.Reader, v.context(value.Object, item.GetKey()), boxOf(item.GetBox()))
		if err != nil {
			return nil, err
		}
		fresh[j] = stored(box)
	}
	return fresh, nil
}
