// Package vault holds an unlocked manager's keys: the ring that opens secrets,
// the cluster's HPKE key that clients seal values to, and the certificate
// authority. It turns what clients send into what is stored, and what is
// stored into what one worker may read; the plaintext between the two never
// leaves a seal.Plaintext.
//
// The keys are the store's ClusterKeys row, which opens with the unlock key
// alone:
//
//	unlock key + cluster ID + salt ─▶ KEK ─▶ wrapped_ring ─▶ ca_key, sealing_key
package vault

import (
	"crypto"
	"crypto/rand"
	"time"

	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
)

// Vault is safe for concurrent use.
type Vault struct {
	clusterID string
	ring      *seal.Ring
	envelope  *seal.EnvelopeKey
	ca        *pki.CA
}

func (v *Vault) seal(c seal.Context, p *seal.Plaintext) (*storepb.SealedBox, error) {
	box, err := v.ring.Seal(rand.Reader, c, p)
	if err != nil {
		return nil, err
	}
	return &storepb.SealedBox{KeyId: box.KeyID, Iv: box.IV, Ciphertext: box.Ciphertext}, nil
}

func (v *Vault) open(c seal.Context, box *storepb.SealedBox) (*seal.Plaintext, error) {
	return v.ring.Open(c, seal.Box{KeyID: box.GetKeyId(), IV: box.GetIv(), Ciphertext: box.GetCiphertext()})
}

// ClusterID is the cluster whose keys these are.
func (v *Vault) ClusterID() string { return v.clusterID }

// CACertificate is the cluster's CA certificate as PEM.
func (v *Vault) CACertificate() []byte { return v.ca.CertificatePEM() }

// IssueCertificate signs a certificate (PEM) for the holder of a public key.
func (v *Vault) IssueCertificate(pub crypto.PublicKey, id pki.Identity, now time.Time, ttl time.Duration) ([]byte, error) {
	return v.ca.Issue(pub, id, now, ttl)
}

// IssueBundle makes a key, its certificate, and the files that hold both; the
// bundle's key is the caller's to destroy.
func (v *Vault) IssueBundle(id pki.Identity, now time.Time, ttl time.Duration) (pki.Bundle, error) {
	key, err := pki.NewKey()
	if err != nil {
		return pki.Bundle{}, err
	}
	cert, err := v.ca.Issue(key.Public(), id, now, ttl)
	if err != nil {
		return pki.Bundle{}, err
	}
	return pki.NewBundle(v.ca.CertificatePEM(), cert, key)
}

// Close wipes the ring. The vault opens nothing afterwards.
func (v *Vault) Close() {
	v.ring.Destroy()
	if v.envelope != nil {
		v.envelope.Destroy()
	}
}
