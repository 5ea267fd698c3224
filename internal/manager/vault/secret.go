package vault

import (
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
)

// ErrEnvelope is in the error of Accept for a value that was not sealed to
// this cluster for this object.
var ErrEnvelope = seal.ErrEnvelope

// Kind of object that a value belongs to.
type Kind string

const (
	// Secret is a secret's value.
	Secret Kind = "secret"
	// Registry is a registry's password; the object's name is the host, and it
	// has one item without a key.
	Registry Kind = "registry"
)

// Object is what a value belongs to, and is bound to wherever it goes.
type Object struct {
	Kind Kind
	// Namespace is empty for a registry.
	Namespace string
	// ID is never reused. A registry's password has one too: a new one with
	// each password.
	ID      string
	Name    string
	Version uint64
}

// Recipient is one worker's call for the values of one task.
type Recipient struct {
	// NodeID is whom the caller's certificate names.
	NodeID string
	TaskID string
	// SealingKey is the public key in its request.
	SealingKey []byte
}

func (v *Vault) context(o Object, item string) seal.Context {
	return seal.Context{
		ClusterID: v.clusterID, Kind: string(o.Kind), Namespace: o.Namespace,
		ObjectID: o.ID, Name: o.Name, Version: o.Version, Item: item,
	}
}

// clientInfo is what a client's envelope for an object is bound to.
func (v *Vault) clientInfo(o Object, item string) []byte {
	if o.Kind == Registry {
		return seal.ToClusterRegistryInfo(v.clusterID, o.Name)
	}
	return seal.ToClusterInfo(v.clusterID, o.Namespace, o.Name, item)
}

// Accept opens what a client sealed for an object and seals it to the ring. It
// returns the items to store, in the given order, and their sizes in bytes. An
// envelope that was made for another object, or for another key of this one,
// is refused with ErrEnvelope.
func (v *Vault) Accept(o Object, items []*warrenv1.SealedItem) ([]*storepb.SecretItem, []uint64, error) {
	stored := make([]*storepb.SecretItem, len(items))
	sizes := make([]uint64, len(items))
	err := v.with(func(k *keys) error {
		for i, item := range items {
			box, size, err := v.accept(k, o, item)
			if err != nil {
				return fmt.Errorf("accept %s: %w", v.context(o, item.GetKey()), err)
			}
			stored[i], sizes[i] = &storepb.SecretItem{Key: item.GetKey(), Box: box}, size
		}
		return nil
	})
	return stored, sizes, err
}

func (v *Vault) accept(k *keys, o Object, item *warrenv1.SealedItem) (*storepb.SealedBox, uint64, error) {
	p, err := k.envelope.Open(v.clientInfo(o, item.GetKey()), item.GetCiphertext())
	if err != nil {
		return nil, 0, err
	}
	defer p.Destroy()
	box, err := k.seal(v.context(o, item.GetKey()), p)
	return box, uint64(p.Len()), err
}

// Copy seals the stored items of an object for another one, such as a later
// version of the same secret.
func (v *Vault) Copy(from, to Object, items []*storepb.SecretItem) ([]*storepb.SecretItem, error) {
	copies := make([]*storepb.SecretItem, len(items))
	err := v.with(func(k *keys) error {
		for i, item := range items {
			box, err := v.copy(k, from, to, item)
			if err != nil {
				return fmt.Errorf("copy %s: %w", v.context(from, item.GetKey()), err)
			}
			copies[i] = &storepb.SecretItem{Key: item.GetKey(), Box: box}
		}
		return nil
	})
	return copies, err
}

func (v *Vault) copy(k *keys, from, to Object, item *storepb.SecretItem) (*storepb.SealedBox, error) {
	p, err := k.open(v.context(from, item.GetKey()), item.GetBox())
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return k.seal(v.context(to, item.GetKey()), p)
}

// Deliver opens an object's stored items and seals each to one worker's call.
// The caller has checked that the task is that node's and names the object.
func (v *Vault) Deliver(o Object, items []*storepb.SecretItem, to Recipient) ([]*warrenv1.SealedItem, error) {
	if to.NodeID == "" || to.TaskID == "" {
		return nil, errors.New("deliver a secret: to no node or task")
	}
	envelopes, err := seal.NewEnvelopes(to.SealingKey)
	if err != nil {
		return nil, fmt.Errorf("deliver to task %s: %w", to.TaskID, err)
	}
	defer envelopes.Destroy()
	sealed := make([]*warrenv1.SealedItem, len(items))
	err = v.with(func(k *keys) error {
		for i, item := range items {
			ct, err := v.deliver(k, o, item, to, envelopes)
			if err != nil {
				return fmt.Errorf("deliver to task %s: %w", to.TaskID, err)
			}
			sealed[i] = &warrenv1.SealedItem{Key: item.GetKey(), Ciphertext: ct}
		}
		return nil
	})
	return sealed, err
}

func (v *Vault) deliver(k *keys, o Object, item *storepb.SecretItem, to Recipient, envelopes *seal.Envelopes) ([]byte, error) {
	p, err := k.open(v.context(o, item.GetKey()), item.GetBox())
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	info := seal.ToTaskInfo(v.clusterID, to.NodeID, to.TaskID, o.ID, o.Version, item.GetKey())
	return envelopes.Seal(info, p)
}
