package vault

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
)

// Export opens an object's stored items and seals each for the one who exports
// it, which the caller has found out may.
func (v *Vault) Export(o Object, items []*storepb.SecretItem, to *seal.Envelopes) ([]*warrenv1.SealedItem, error) {
	sealed := make([]*warrenv1.SealedItem, len(items))
	err := v.with(func(k *keys) error {
		for i, item := range items {
			ct, err := v.export(k, o, item, to)
			if err != nil {
				return fmt.Errorf("export %s: %w", v.context(o, item.GetKey()), err)
			}
			sealed[i] = &warrenv1.SealedItem{Key: item.GetKey(), Ciphertext: ct}
		}
		return nil
	})
	return sealed, err
}

func (v *Vault) export(k *keys, o Object, item *storepb.SecretItem, to *seal.Envelopes) ([]byte, error) {
	p, err := k.open(v.context(o, item.GetKey()), item.GetBox())
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return to.Seal(seal.ToExportInfo(v.clusterID, o.Namespace, o.ID, o.Version, item.GetKey()), p)
}

// Same tells whether two objects have the same items with the same values.
func (v *Vault) Same(a Object, itemsOfA []*storepb.SecretItem, b Object, itemsOfB []*storepb.SecretItem) (bool, error) {
	if len(itemsOfA) != len(itemsOfB) {
		return false, nil
	}
	byKey := map[string]*storepb.SecretItem{}
	for _, item := range itemsOfB {
		byKey[item.GetKey()] = item
	}
	same := true
	err := v.with(func(k *keys) (err error) {
		for _, item := range itemsOfA {
			other := byKey[item.GetKey()]
			if same = other != nil; !same {
				return nil
			}
			if same, err = v.same(k, a, item, b, other); err != nil || !same {
				return err
			}
		}
		return nil
	})
	return same, err
}

func (v *Vault) same(k *keys, a Object, itemOfA *storepb.SecretItem, b Object, itemOfB *storepb.SecretItem) (bool, error) {
	p, err := k.open(v.context(a, itemOfA.GetKey()), itemOfA.GetBox())
	if err != nil {
		return false, err
	}
	defer p.Destroy()
	q, err := k.open(v.context(b, itemOfB.GetKey()), itemOfB.GetBox())
	if err != nil {
		return false, err
	}
	defer q.Destroy()
	return p.Equal(q), nil
}
