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

// ErrLocked is in the error of Open when the unlock key is not the one that
// the cluster's keys need.
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
	v, err := generate(clusterID, now)
	if err != nil {
		unlock.Destroy()
		return nil, fmt.Errorf("create the cluster's keys: %w", err)
	}
	keys, err := v.lock(unlock)
	if err != nil {
		unlock.Destroy()
		v.Close()
		return nil, fmt.Errorf("create the cluster's keys: %w", err)
	}
	cluster := &warrenv1.Cluster{
		Id:                   clusterID,
		Name:                 name,
		CreatedAt:            timestamppb.New(now),
		CaCertificate:        v.ca.CertificatePEM(),
		SealingKey:           v.envelope.PublicKey(),
		UnlockKeyFingerprint: unlock.Fingerprint(),
	}
	return &Created{Cluster: cluster, Keys: keys, Unlock: unlock, Vault: v}, nil
}

func generate(clusterID string, now time.Time) (*Vault, error) {
	ca, err := pki.NewCA(clusterID, now)
	if err != nil {
		return nil, err
	}
	envelope, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return nil, err
	}
	ring, err := seal.NewRing(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Vault{clusterID: clusterID, ring: ring, envelope: envelope, ca: ca}, nil
}

// lock gives the row that opens with the unlock key.
func (v *Vault) lock(unlock seal.UnlockKey) (*storepb.ClusterKeys, error) {
	salt := make([]byte, seal.SaltSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	kek, err := seal.DeriveKEK(v.clusterID, unlock, salt, seal.MinIterations)
	if err != nil {
		return nil, err
	}
	defer kek.Destroy()
	wrapped, err := v.ring.Wrap(rand.Reader, kek)
	if err != nil {
		return nil, err
	}
	caKey, err := v.sealKey("ca", v.ca.MarshalKey)
	if err != nil {
		return nil, err
	}
	sealingKey, err := v.sealKey("sealing", v.envelope.Marshal)
	if err != nil {
		return nil, err
	}
	return &storepb.ClusterKeys{
		Salt:                 salt,
		Iterations:           seal.MinIterations,
		UnlockKeyFingerprint: unlock.Fingerprint(),
		WrappedRing:          wrapped,
		CaKey:                caKey,
		SealingKey:           sealingKey,
	}, nil
}

// Open unlocks a cluster's keys. With another unlock key than they need it
// names both fingerprints (ErrLocked).
func Open(cluster *warrenv1.Cluster, keys *storepb.ClusterKeys, unlock seal.UnlockKey) (*Vault, error) {
	if unlock.IsZero() {
		return nil, fmt.Errorf("cluster %s: %w: they need unlock key %s, and there is none",
			cluster.GetId(), ErrLocked, keys.GetUnlockKeyFingerprint())
	}
	kek, err := seal.DeriveKEK(cluster.GetId(), unlock, keys.GetSalt(), int(keys.GetIterations()))
	if err != nil {
		return nil, fmt.Errorf("cluster %s: its keys are damaged: %w", cluster.GetId(), err)
	}
	defer kek.Destroy()
	ring, err := seal.UnwrapRing(kek, keys.GetWrappedRing())
	if errors.Is(err, seal.ErrWrap) {
		if have := unlock.Fingerprint(); have != keys.GetUnlockKeyFingerprint() {
			return nil, fmt.Errorf("cluster %s: %w: they need unlock key %s, this one is %s",
				cluster.GetId(), ErrLocked, keys.GetUnlockKeyFingerprint(), have)
		}
		return nil, fmt.Errorf("cluster %s: the unlock key is right, but the key ring is damaged or another cluster's: "+
			"restore a backup of warren.db", cluster.GetId())
	}
	if err != nil {
		return nil, fmt.Errorf("cluster %s: open the key ring: %w", cluster.GetId(), err)
	}
	v := &Vault{clusterID: cluster.GetId(), ring: ring}
	if err := v.load(cluster, keys); err != nil {
		v.Close()
		return nil, fmt.Errorf("cluster %s: %w", cluster.GetId(), err)
	}
	return v, nil
}

// load opens what the ring seals of the cluster's keys, and checks that the
// public halves in the cluster's row are theirs: a row that was edited could
// otherwise make clients seal to somebody else.
func (v *Vault) load(cluster *warrenv1.Cluster, keys *storepb.ClusterKeys) error {
	caKey, err := v.openKey("ca", keys.GetCaKey())
	if err != nil {
		return err
	}
	defer caKey.Destroy()
	if v.ca, err = pki.LoadCA(cluster.GetCaCertificate(), caKey); err != nil {
		return err
	}
	if v.ca.ClusterID() != v.clusterID {
		return fmt.Errorf("its CA is that of cluster %s", v.ca.ClusterID())
	}
	sealingKey, err := v.openKey("sealing", keys.GetSealingKey())
	if err != nil {
		return err
	}
	defer sealingKey.Destroy()
	if v.envelope, err = seal.ParseEnvelopeKey(sealingKey); err != nil {
		return err
	}
	if string(v.envelope.PublicKey()) != string(cluster.GetSealingKey()) {
		return errors.New("the public key that clients seal to is not the cluster's own")
	}
	return nil
}

func (v *Vault) sealKey(name string, marshal func() (*seal.Plaintext, error)) (*storepb.SealedBox, error) {
	p, err := marshal()
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return v.seal(seal.Context{ClusterID: v.clusterID, Kind: kindClusterKey, Name: name}, p)
}

func (v *Vault) openKey(name string, box *storepb.SealedBox) (*seal.Plaintext, error) {
	return v.open(seal.Context{ClusterID: v.clusterID, Kind: kindClusterKey, Name: name}, box)
}
