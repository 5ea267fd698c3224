package rotate_test

import (
	"crypto/rand"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

func newUnlockKey(t testing.TB) seal.UnlockKey {
	t.Helper()
	u, err := seal.NewUnlockKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Destroy)
	return u
}

func secretValue(o vault.Object, items []*storepb.SecretItem) *storepb.SecretValue {
	return &storepb.SecretValue{SecretId: o.ID, Version: o.Version, Items: items}
}

func (m *manager) row(o vault.Object) (*storepb.SecretValue, error) {
	return m.rowAt(o.Namespace, o.ID, o.Version)
}

func (m *manager) rowAt(namespace, id string, version uint64) (row *storepb.SecretValue, err error) {
	err = m.store.ViewStale(m.Context(), func(tx *store.ReadTx) error {
		row, err = tx.SecretValues().Get(namespace, id, store.Version(version))
		return err
	})
	return row, err
}

func (m *manager) keys() (row *storepb.ClusterKeys) {
	m.Helper()
	m.view(func(tx *store.ReadTx) (err error) {
		row, err = tx.ClusterKeys().Get()
		return err
	})
	return row
}

func (m *manager) cluster() (row *warrenv1.Cluster) {
	m.Helper()
	m.view(func(tx *store.ReadTx) (err error) {
		row, err = tx.Cluster().Get()
		return err
	})
	return row
}

// putRegistry stores a registry with its password.
func (m *manager) putRegistry(o vault.Object, password string) {
	m.Helper()
	p, err := seal.PlaintextFrom([]byte(password))
	if err != nil {
		m.Fatal(err)
	}
	defer p.Destroy()
	ct, err := seal.SealTo(m.created.Cluster.GetSealingKey(), seal.ToClusterRegistryInfo(clusterID, o.Name), p)
	if err != nil {
		m.Fatal(err)
	}
	items, _, err := m.vault.Accept(o, []*warrenv1.SealedItem{{Ciphertext: ct}})
	if err != nil {
		m.Fatal(err)
	}
	m.update(func(tx *store.Tx) error {
		secret := &warrenv1.Secret{Meta: &warrenv1.Meta{Id: o.ID, Name: spec.RegistrySecretName(o.Name), Namespace: spec.SystemNamespace}, Versions: versions(o)}
		if err := tx.Secrets().Create(secret); err != nil {
			return err
		}
		if err := tx.Registries().Put(&warrenv1.Registry{Host: o.Name, SecretId: o.ID}, o.Name); err != nil {
			return err
		}
		return tx.SecretValues().Put(secretValue(o, items), spec.SystemNamespace, o.ID, store.Version(1))
	})
}

// fill stores so many secrets of that size, all sealed with the key that seals
// now.
func (m *manager) fill(values, size int) {
	m.Helper()
	envelopes, err := seal.NewEnvelopes(m.created.Cluster.GetSealingKey())
	if err != nil {
		m.Fatal(err)
	}
	defer envelopes.Destroy()
	for from := 0; from < values; from += 250 {
		m.update(func(tx *store.Tx) error {
			for i := from; i < min(values, from+250); i++ {
				o := object(i)
				p, err := seal.NewPlaintext(size)
				if err != nil {
					return err
				}
				ct, err := envelopes.Seal(seal.ToClusterInfo(clusterID, o.Namespace, o.Name, ""), p)
				p.Destroy()
				if err != nil {
					return err
				}
				items, _, err := m.vault.Accept(o, []*warrenv1.SealedItem{{Ciphertext: ct}})
				if err != nil {
					return err
				}
				secret := &warrenv1.Secret{Meta: &warrenv1.Meta{Id: o.ID, Name: o.Name, Namespace: o.Namespace}, Versions: versions(o)}
				if err := tx.Secrets().Create(secret); err != nil {
					return err
				}
				if err := tx.SecretValues().Put(secretValue(o, items), o.Namespace, o.ID, store.Version(o.Version)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func versions(o vault.Object) []*warrenv1.SecretVersion {
	return []*warrenv1.SecretVersion{{Number: o.Version}}
}
