package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ErrLocked is in the error of Open and Load when the unlock key is not the one
// that the cluster's keys need.
var ErrLocked = errors.New("the cluster's keys stay locked")

// The objects that a cluster's own private keys are sealed as.
const kindClusterKey = "cluster-key"

// Created is a new cluster's row, its keys, and what opens them. The unlock key
// is the caller's to keep outside the database, and to destroy.
type Created struct {
	Cluster *warrenv1.Cluster
	Keys    *storepb.ClusterKeys
	Unlock  seal.UnlockKey
	Vault   *Vault
}

// Create makes the keys of a new cluster.
func Create(clusterID, name string, now time.Time) (*Created, error) {
	unlock, err := seal.NewUnlockKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create the cluster's keys: %w", err)
	}
	k, row, err := generate(clusterID, unlock, now)
	if err != nil {
		unlock.Destroy()
		return nil, fmt.Errorf("create the cluster's keys: %w", err)
	}
	cluster := &warrenv1.Cluster{
		Id:                   clusterID,
		Name:                 name,
		CreatedAt:            timestamppb.New(now),
		CaCertificate:        k.ca.CertificatePEM(),
		SealingKey:           k.envelope.PublicKey(),
		UnlockKeyFingerprint: unlock.Fingerprint(),
	}
	v := New(clusterID)
	v.use(k)
	return &Created{Cluster: cluster, Keys: row, Unlock: unlock, Vault: v}, nil
}

func generate(clusterID string, unlock seal.UnlockKey, now time.Time) (_ *keys, row *storepb.ClusterKeys, err error) {
	k := &keys{}
	if k.ca, err = pki.NewCA(clusterID, now); err != nil {
		return nil, nil, err
	}
	if k.envelope, err = seal.GenerateEnvelopeKey(); err != nil {
		return nil, nil, err
	}
	if k.ring, err = seal.NewRing(rand.Reader); err != nil {
		return nil, nil, err
	}
	row = &storepb.ClusterKeys{SealsWith: k.ring.KeyID()}
	if k.kek, err = lockWith(row, clusterID, unlock); err == nil {
		row.WrappedRing, err = k.ring.Wrap(rand.Reader, k.kek)
	}
	if err == nil {
		row.CaKey, err = k.sealKey(clusterID, "ca", k.ca.MarshalKey)
	}
	if err == nil {
		row.SealingKey, err = k.sealKey(clusterID, "sealing", k.envelope.Marshal)
	}
	if err != nil {
		k.destroy()
		return nil, nil, err
	}
	return k, row, nil
}

// lockWith derives a new key-encryption key and writes into the row how.
func lockWith(row *storepb.ClusterKeys, clusterID string, unlock seal.UnlockKey) (*seal.KEK, error) {
	row.Salt = make([]byte, seal.SaltSize)
	if _, err := rand.Read(row.Salt); err != nil {
		return nil, err
	}
	row.Iterations, row.UnlockKeyFingerprint = seal.MinIterations, unlock.Fingerprint()
	return seal.DeriveKEK(clusterID, unlock, row.Salt, seal.MinIterations)
}

// Open unlocks a cluster's keys. With another unlock key than they need it
// names both fingerprints (ErrLocked).
func Open(cluster *warrenv1.Cluster, row *storepb.ClusterKeys, unlock seal.UnlockKey) (*Vault, error) {
	v := New(cluster.GetId())
	return v, v.Load(cluster, row, unlock)
}

func open(cluster *warrenv1.Cluster, row *storepb.ClusterKeys, unlock seal.UnlockKey) (*keys, error) {
	if unlock.IsZero() {
		return nil, fmt.Errorf("cluster %s: %w: they need unlock key %s, and there is none",
			cluster.GetId(), ErrLocked, row.GetUnlockKeyFingerprint())
	}
	kek, err := seal.DeriveKEK(cluster.GetId(), unlock, row.GetSalt(), int(row.GetIterations()))
	if err != nil {
		return nil, fmt.Errorf("cluster %s: its keys are damaged: %w", cluster.GetId(), err)
	}
	ring, err := seal.UnwrapRing(kek, row.GetWrappedRing())
	if err != nil {
		kek.Destroy()
		return nil, whyClosed(cluster, row, unlock, err)
	}
	k := &keys{kek: kek, ring: ring}
	if err := k.load(cluster, row); err != nil {
		k.destroy()
		return nil, fmt.Errorf("cluster %s: %w", cluster.GetId(), err)
	}
	return k, nil
}

// whyClosed says what is wrong with a ring that does not open.
func whyClosed(cluster *warrenv1.Cluster, row *storepb.ClusterKeys, unlock seal.UnlockKey, err error) error {
	if !errors.Is(err, seal.ErrWrap) {
		return fmt.Errorf("cluster %s: open the key ring: %w", cluster.GetId(), err)
	}
	if have := unlock.Fingerprint(); have != row.GetUnlockKeyFingerprint() {
		return fmt.Errorf("cluster %s: %w: they need unlock key %s, this one is %s",
			cluster.GetId(), ErrLocked, row.GetUnlockKeyFingerprint(), have)
	}
	return fmt.Errorf("cluster %s: the unlock key is right, but the key ring is damaged or another cluster's: "+
		"restore a backup of warren.db", cluster.GetId())
}

// load opens what the ring seals of the cluster's keys, and checks that the
// public halves in the cluster's row are theirs: a row that was edited could
// otherwise make clients seal to somebody else.
func (k *keys) load(cluster *warrenv1.Cluster, row *storepb.ClusterKeys) error {
	caKey, err := k.openKey(cluster.GetId(), "ca", row.GetCaKey())
	if err != nil {
		return err
	}
	defer caKey.Destroy()
	if k.ca, err = pki.LoadCA(cluster.GetCaCertificate(), caKey); err != nil {
		return err
	}
	if k.ca.ClusterID() != cluster.GetId() {
		return fmt.Errorf("its CA is that of cluster %s", k.ca.ClusterID())
	}
	sealingKey, err := k.openKey(cluster.GetId(), "sealing", row.GetSealingKey())
	if err != nil {
		return err
	}
	defer sealingKey.Destroy()
	if k.envelope, err = seal.ParseEnvelopeKey(sealingKey); err != nil {
		return err
	}
	if string(k.envelope.PublicKey()) != string(cluster.GetSealingKey()) {
		return errors.New("the public key that clients seal to is not the cluster's own")
	}
	return nil
}

func clusterKey(clusterID, name string) seal.Context {
	return seal.Context{ClusterID: clusterID, Kind: kindClusterKey, Name: name}
}

func (k *keys) sealKey(clusterID, name string, marshal func() (*seal.Plaintext, error)) (*storepb.SealedBox, error) {
	p, err := marshal()
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return k.seal(clusterKey(clusterID, name), p)
}

func (k *keys) openKey(clusterID, name string, box *storepb.SealedBox) (*seal.Plaintext, error) {
	return k.open(clusterKey(clusterID, name), box)
}
