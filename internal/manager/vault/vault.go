// Package vault holds a manager's keys, once they are unlocked: the ring that
// opens secrets, the cluster's HPKE key that clients seal values to, and the
// certificate authority. It turns what clients send into what is stored, and
// what is stored into what one worker may read; the plaintext between the two
// never leaves a seal.Plaintext.
//
// The keys are the store's ClusterKeys row, which opens with the unlock key
// alone:
//
//	unlock key + cluster ID + salt ─▶ KEK ─▶ wrapped_ring ─▶ ca_key, sealing_key
//
// A vault without them is sealed. The row changes while a manager runs, when
// its keys are rotated; whoever follows the row loads it again.
package vault

import (
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
)

// ErrSealed is the error of whatever takes a key that a sealed vault lacks.
var ErrSealed = errors.New("this manager is sealed: it was not given the unlock key yet")

// Vault is safe for concurrent use.
type Vault struct {
	clusterID string

	mu sync.RWMutex
	// keys is nil while the vault is sealed. Whoever uses them holds mu for
	// reading: what replaces them wipes them.
	keys *keys
	// opened is closed once there are keys.
	opened chan struct{}
}

// keys are what one ClusterKeys row opens to.
type keys struct {
	kek      *seal.KEK
	ring     *seal.Ring
	envelope *seal.EnvelopeKey
	ca       *pki.CA
}

// New returns a sealed vault of a cluster.
func New(clusterID string) *Vault { return &Vault{clusterID: clusterID, opened: make(chan struct{})} }

// Load opens the keys with the unlock key and uses them from now on, in the
// place of those before. When it fails, nothing changes.
func (v *Vault) Load(cluster *warrenv1.Cluster, row *storepb.ClusterKeys, unlock seal.UnlockKey) error {
	fresh, err := open(cluster, row, unlock)
	if err != nil {
		return err
	}
	v.use(fresh)
	return nil
}

func (v *Vault) use(fresh *keys) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys != nil {
		v.keys.destroy()
	} else if fresh != nil {
		close(v.opened)
	}
	if v.keys != nil && fresh == nil {
		v.opened = make(chan struct{})
	}
	v.keys = fresh
}

// Sealed tells whether the vault has no keys.
func (v *Vault) Sealed() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.keys == nil
}

// Opened is closed once the vault has keys.
func (v *Vault) Opened() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.opened
}

// with does something with the keys; ErrSealed when there are none.
func (v *Vault) with(do func(*keys) error) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.keys == nil {
		return ErrSealed
	}
	return do(v.keys)
}

// KeyIDs names the data keys that open values, the one that seals first; none
// when the vault is sealed.
func (v *Vault) KeyIDs() (ids []string) {
	_ = v.with(func(k *keys) error {
		ids = slices.Clone(k.ring.KeyIDs())
		return nil
	})
	return ids
}

// ClusterID is the cluster whose keys these are.
func (v *Vault) ClusterID() string { return v.clusterID }

// CACertificate is the cluster's CA certificate as PEM; nil while the vault is
// sealed.
func (v *Vault) CACertificate() (certificate []byte) {
	_ = v.with(func(k *keys) error {
		certificate = k.ca.CertificatePEM()
		return nil
	})
	return certificate
}

// IssueCertificate signs a certificate (PEM) for the holder of a public key.
func (v *Vault) IssueCertificate(pub crypto.PublicKey, id pki.Identity, now time.Time, ttl time.Duration) (certificate []byte, err error) {
	err = v.with(func(k *keys) (err error) {
		certificate, err = k.ca.Issue(pub, id, now, ttl)
		return err
	})
	return certificate, err
}

// IssueBundle makes a key, its certificate, and the files that hold both; the
// bundle's key is the caller's to destroy.
func (v *Vault) IssueBundle(id pki.Identity, now time.Time, ttl time.Duration) (pki.Bundle, error) {
	key, err := pki.NewKey()
	if err != nil {
		return pki.Bundle{}, err
	}
	cert, err := v.IssueCertificate(key.Public(), id, now, ttl)
	if err != nil {
		return pki.Bundle{}, err
	}
	return pki.NewBundle(v.CACertificate(), cert, key)
}

// Close wipes the keys. The vault is sealed afterwards.
func (v *Vault) Close() { v.use(nil) }

func (k *keys) destroy() {
	k.ring.Destroy()
	if k.kek != nil {
		k.kek.Destroy()
	}
	if k.envelope != nil {
		k.envelope.Destroy()
	}
}

func (k *keys) seal(c seal.Context, p *seal.Plaintext) (*storepb.SealedBox, error) {
	box, err := k.ring.Seal(rand.Reader, c, p)
	if err != nil {
		return nil, err
	}
	return stored(box), nil
}

func (k *keys) open(c seal.Context, box *storepb.SealedBox) (*seal.Plaintext, error) {
	return k.ring.Open(c, boxOf(box))
}

func stored(b seal.Box) *storepb.SealedBox {
	return &storepb.SealedBox{KeyId: b.KeyID, Iv: b.IV, Ciphertext: b.Ciphertext}
}

func boxOf(b *storepb.SealedBox) seal.Box {
	return seal.Box{KeyID: b.GetKeyId(), IV: b.GetIv(), Ciphertext: b.GetCiphertext()}
}
