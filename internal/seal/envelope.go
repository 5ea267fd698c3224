package seal

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"runtime"
)

// EnvelopeOverhead is how many bytes an envelope is longer than what is in it:
// the encapsulated key (1088 of ML-KEM-768, 32 of X25519) and the tag.
const EnvelopeOverhead = 1088 + 32 + tagSize

// ErrEnvelope is returned for an envelope that does not open: sealed to
// another key, bound to something else, or damaged.
var ErrEnvelope = errors.New("the envelope does not open: it was sealed to another key or for another object, or damaged")

// The hybrid suite: recorded traffic stays closed as long as either X25519 or
// ML-KEM-768 holds.
var (
	envelopeKEM  = hpke.MLKEM768X25519()
	envelopeKDF  = hpke.HKDFSHA256()
	envelopeAEAD = hpke.AES256GCM()
)

// EnvelopeKey is an HPKE (RFC 9180) private key. Envelopes say nothing of
// who sealed them; the connection's certificates do.
type EnvelopeKey struct {
	redacted
	private hpke.PrivateKey
}

// GenerateEnvelopeKey makes a key from the system's random generator.
func GenerateEnvelopeKey() (*EnvelopeKey, error) {
	k, err := envelopeKEM.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make an envelope key: %w", err)
	}
	return &EnvelopeKey{private: k}, nil
}

// ParseEnvelopeKey reads what Marshal gave; p stays the caller's.
func ParseEnvelopeKey(p *Plaintext) (*EnvelopeKey, error) {
	k, err := envelopeKEM.NewPrivateKey(p.Bytes())
	runtime.KeepAlive(p)
	if err != nil {
		return nil, errors.New("read an envelope key: not a MLKEM768-X25519 private key")
	}
	return &EnvelopeKey{private: k}, nil
}

// Marshal returns the private key, to be sealed by a ring.
func (k *EnvelopeKey) Marshal() (*Plaintext, error) {
	b, err := k.private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal an envelope key: %w", err)
	}
	return PlaintextFrom(b)
}

// PublicKey returns what others give to SealTo.
func (k *EnvelopeKey) PublicKey() []byte { return k.private.PublicKey().Bytes() }

// Open opens an envelope that SealTo made with the same info; ErrEnvelope
// otherwise.
func (k *EnvelopeKey) Open(info, envelope []byte) (*Plaintext, error) {
	// Shorter ones would be refused too; this keeps them from the decoder.
	if len(envelope) < EnvelopeOverhead {
		return nil, ErrEnvelope
	}
	b, err := hpke.Open(k.private, envelopeKDF, envelopeAEAD, info, envelope)
	if err != nil {
		return nil, ErrEnvelope
	}
	return PlaintextFrom(b)
}

// SealTo seals p to the holder of a public key, bound to info. Each call draws
// a fresh encapsulated key, so the AEAD's nonce is never used twice.
func SealTo(publicKey, info []byte, p *Plaintext) ([]byte, error) {
	pk, err := envelopeKEM.NewPublicKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("not a MLKEM768-X25519 public key (%d bytes)", len(publicKey))
	}
	ct, err := hpke.Seal(pk, envelopeKDF, envelopeAEAD, info, p.Bytes())
	runtime.KeepAlive(p)
	if err != nil {
		return nil, fmt.Errorf("seal an envelope: %w", err)
	}
	return ct, nil
}
