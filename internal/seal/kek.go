package seal

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
)

const (
	// MinIterations is the least PBKDF2 work that DeriveKEK accepts. The unlock
	// key is random, so the work is a second fence, not the first.
	MinIterations = 100_000
	// MaxIterations keeps a damaged record from stalling a start for minutes.
	MaxIterations = 10_000_000
	// SaltSize is the size of a cluster's PBKDF2 salt in bytes.
	SaltSize = 32
)

// KEK is the key-encryption key, which seals the ring and nothing else.
type KEK struct {
	redacted
	sealer *sealer
	aad    []byte
}

// DeriveKEK derives the key-encryption key of a cluster by
// PBKDF2-HMAC-SHA256(cluster ID ‖ unlock key, salt). The joined password is
// unambiguous because the unlock key has a fixed size.
func DeriveKEK(clusterID string, unlock UnlockKey, salt []byte, iterations int) (*KEK, error) {
	switch {
	case clusterID == "":
		return nil, errors.New("derive the key-encryption key: no cluster ID")
	case unlock.IsZero():
		return nil, errors.New("derive the key-encryption key: no unlock key")
	case len(salt) < 16:
		return nil, fmt.Errorf("derive the key-encryption key: the salt has %d bytes, at least 16 are needed", len(salt))
	case iterations < MinIterations || iterations > MaxIterations:
		return nil, fmt.Errorf("derive the key-encryption key: %d iterations are not within %d and %d",
			iterations, MinIterations, MaxIterations)
	}
	password := clusterID + string(unlock.secret.Bytes())
	runtime.KeepAlive(unlock.secret)
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, aesKeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key-encryption key: %w", err)
	}
	p, err := PlaintextFrom(key)
	if err != nil {
		return nil, err
	}
	s, err := newSealer(p)
	if err != nil {
		return nil, err
	}
	return &KEK{sealer: s, aad: encode("warren key ring v1", []byte(clusterID))}, nil
}

func (k *KEK) seal(rand io.Reader, p *Plaintext) ([]byte, error) {
	iv, ct, err := k.sealer.seal(rand, k.aad, p)
	return append(iv, ct...), err
}

func (k *KEK) open(wrapped []byte) (*Plaintext, error) {
	if len(wrapped) < ivSize {
		return nil, errAuthentication
	}
	return k.sealer.open(wrapped[:ivSize], wrapped[ivSize:], k.aad)
}

// Destroy wipes the key.
func (k *KEK) Destroy() { k.sealer.destroy() }
