package seal

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
)

// An envelope is a data key, sealed to its receiver with HPKE, and the value,
// sealed with that key and bound to the envelope's info:
//
//	head (encapsulated key, data key, tag) | IV | value | tag
//
// One sender may use one data key for many envelopes: what is dear is the head,
// and its receiver keeps the keys of those it heard last (correspondents.go).
const (
	// 1088 bytes of ML-KEM-768 and 32 of X25519, then the data key.
	headSize = 1088 + 32 + aesKeySize + tagSize
	// EnvelopeOverhead is how many bytes an envelope is longer than what is in
	// it.
	EnvelopeOverhead = headSize + ivSize + tagSize
)

// headInfo is what every head is bound to; the value has its own info.
var headInfo = []byte("warren envelope: data key v1")

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
	known   correspondents
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

// Open opens an envelope that was sealed to this key with the same info;
// ErrEnvelope otherwise.
func (k *EnvelopeKey) Open(info, envelope []byte) (*Plaintext, error) {
	// Shorter ones would be refused too; this keeps them from the decoder.
	if len(envelope) < EnvelopeOverhead {
		return nil, ErrEnvelope
	}
	head, rest := envelope[:headSize], envelope[headSize:]
	open := func(s *sealer) (*Plaintext, error) {
		p, err := s.open(rest[:ivSize], rest[ivSize:], info)
		if errors.Is(err, errAuthentication) {
			err = ErrEnvelope
		}
		return p, err
	}
	if p, err, known := k.known.use(head, open); known {
		return p, err
	}
	key, err := k.openHPKE(headInfo, head)
	if err != nil {
		return nil, err
	}
	s, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	p, err := open(s)
	if err != nil {
		s.destroy()
		return nil, err
	}
	// Only who has sealed something well is remembered, so that rubbish drives
	// nobody out.
	k.known.add(head, s)
	return p, nil
}

func (k *EnvelopeKey) openHPKE(info, message []byte) (*Plaintext, error) {
	b, err := hpke.Open(k.private, envelopeKDF, envelopeAEAD, info, message)
	if err != nil {
		return nil, ErrEnvelope
	}
	return PlaintextFrom(b)
}

// Destroy forgets the keys of senders. The private key itself is the standard
// library's, on the heap.
func (k *EnvelopeKey) Destroy() { k.known.forget() }

// Envelopes seals values to the holder of one public key. The first value is
// what costs; all of them are as secret from each other's readers as that
// key's holder keeps them. It is safe for concurrent use.
type Envelopes struct {
	redacted
	head   []byte
	sealer *sealer
}

// NewEnvelopes draws a data key and seals it to the public key. Whoever makes
// one destroys it.
func NewEnvelopes(publicKey []byte) (*Envelopes, error) {
	pk, err := envelopeKEM.NewPublicKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("not a MLKEM768-X25519 public key (%d bytes)", len(publicKey))
	}
	key, err := randomPlaintext(rand.Reader, aesKeySize)
	if err != nil {
		return nil, err
	}
	head, err := hpke.Seal(pk, envelopeKDF, envelopeAEAD, headInfo, key.Bytes())
	if err != nil {
		key.Destroy()
		return nil, fmt.Errorf("seal an envelope: %w", err)
	}
	s, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	return &Envelopes{head: head, sealer: s}, nil
}

// Seal seals p, bound to info.
func (e *Envelopes) Seal(info []byte, p *Plaintext) ([]byte, error) {
	iv, ct, err := e.sealer.seal(rand.Reader, info, p)
	runtime.KeepAlive(e)
	if err != nil {
		return nil, fmt.Errorf("seal an envelope: %w", err)
	}
	return bytes.Join([][]byte{e.head, iv, ct}, nil), nil
}

// Destroy wipes the data key.
func (e *Envelopes) Destroy() { e.sealer.destroy() }

// SealTo seals one value to the holder of a public key, bound to info.
func SealTo(publicKey, info []byte, p *Plaintext) ([]byte, error) {
	e, err := NewEnvelopes(publicKey)
	if err != nil {
		return nil, err
	}
	defer e.Destroy()
	return e.Seal(info, p)
}
