package server

import (
	"crypto"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
)

// Vault takes values into the cluster's keeping, and vouches for who is who.
// No plaintext passes through here: envelopes go in, sealed items come out.
type Vault interface {
	// Accept opens what a client sealed for an object and seals it with the
	// key ring. It returns the items to store, in the given order, and their
	// sizes in bytes; vault.ErrEnvelope when one was not sealed for that
	// object.
	Accept(o vault.Object, items []*warrenv1.SealedItem) ([]*storepb.SecretItem, []uint64, error)
	// Copy seals stored items of one object for another.
	Copy(from, to vault.Object, items []*storepb.SecretItem) ([]*storepb.SecretItem, error)
	// Export opens an object's stored items and seals them for who exports it.
	Export(o vault.Object, items []*storepb.SecretItem, to *seal.Envelopes) ([]*warrenv1.SealedItem, error)
	// Same tells whether two objects have the same items with the same values.
	Same(a vault.Object, itemsOfA []*storepb.SecretItem, b vault.Object, itemsOfB []*storepb.SecretItem) (bool, error)
	// Sealed tells whether nothing can be opened or sealed now.
	Sealed() bool
	// AcceptUnlockKey puts the next unlock key, as a person sealed it, into the
	// row of the keys; seal.ErrEnvelope when it was not sealed for this cluster.
	AcceptUnlockKey(row *storepb.ClusterKeys, envelope []byte) (*storepb.ClusterKeys, error)
	// ClusterID and CACertificate (PEM) say whose authority this is.
	ClusterID() string
	CACertificate() []byte
	// IssueCertificate signs a certificate (PEM) for the holder of a public
	// key, valid for ttl.
	IssueCertificate(pub crypto.PublicKey, id pki.Identity, now time.Time, ttl time.Duration) ([]byte, error)
}
