package seal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

const (
	ringFormat  = 1
	keyIDSize   = 8
	maxRingKeys = 255
)

var (
	// ErrAltered is returned by Ring.Open for a Box that is not what was sealed
	// for this context: changed, truncated, or moved from another object.
	ErrAltered = errors.New("it was altered, or belongs to another object")
	// ErrUnknownKey is returned by Ring.Open for a Box whose data key the ring
	// does not hold.
	ErrUnknownKey = errors.New("the key ring lacks its key")
	// ErrWrap is returned by UnwrapRing when the ring does not open: the wrong
	// unlock key or cluster, or damaged bytes.
	ErrWrap = errors.New("the key ring does not open with this unlock key")
)

// Ring is the data keys that seal values: one seals, all open. It is safe for
// concurrent use.
type Ring struct {
	redacted
	// The first one seals.
	keys []dataKey
}

type dataKey struct {
	id string
	*sealer
}

// NewRing returns a ring with one data key drawn from rand.
func NewRing(rand io.Reader) (*Ring, error) {
	id := make([]byte, keyIDSize)
	if _, err := io.ReadFull(rand, id); err != nil {
		return nil, fmt.Errorf("draw a key ID: %w", err)
	}
	p, err := randomPlaintext(rand, aesKeySize)
	if err != nil {
		return nil, err
	}
	s, err := newSealer(p)
	if err != nil {
		return nil, err
	}
	return &Ring{keys: []dataKey{{hex.EncodeToString(id), s}}}, nil
}

// KeyID names the data key that seals now.
func (r *Ring) KeyID() string { return r.keys[0].id }

// Seal encrypts p, bound to c.
func (r *Ring) Seal(rand io.Reader, c Context, p *Plaintext) (Box, error) {
	k := r.keys[0]
	iv, ct, err := k.seal(rand, c.aad(k.id), p)
	if err != nil {
		return Box{}, fmt.Errorf("seal %s: %w", c, err)
	}
	return Box{KeyID: k.id, IV: iv, Ciphertext: ct}, nil
}

// Open decrypts what Seal gave for the same context. Its errors are
// ErrUnknownKey and ErrAltered, with the object's name.
func (r *Ring) Open(c Context, b Box) (*Plaintext, error) {
	i := slices.IndexFunc(r.keys, func(k dataKey) bool { return k.id == b.KeyID })
	if i < 0 {
		return nil, fmt.Errorf("open %s: %w (%q)", c, ErrUnknownKey, b.KeyID)
	}
	p, err := r.keys[i].open(b.IV, b.Ciphertext, c.aad(b.KeyID))
	if errors.Is(err, errAuthentication) {
		err = ErrAltered
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c, err)
	}
	return p, nil
}

// Wrap seals the whole ring with the key-encryption key.
func (r *Ring) Wrap(rand io.Reader, kek *KEK) ([]byte, error) {
	p, err := r.marshal()
	if err != nil {
		return nil, fmt.Errorf("wrap the key ring: %w", err)
	}
	defer p.Destroy()
	wrapped, err := kek.seal(rand, p)
	if err != nil {
		return nil, fmt.Errorf("wrap the key ring: %w", err)
	}
	return wrapped, nil
}

// UnwrapRing opens what Wrap gave; ErrWrap when kek is not the one.
func UnwrapRing(kek *KEK, wrapped []byte) (*Ring, error) {
	p, err := kek.open(wrapped)
	if errors.Is(err, errAuthentication) {
		return nil, ErrWrap
	}
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return parseRing(p)
}

// marshal lays the ring out as a format byte and, for each key, its ID and its
// 32 bytes; the first key is the one that seals.
func (r *Ring) marshal() (*Plaintext, error) {
	p, err := NewPlaintext(1 + len(r.keys)*(keyIDSize+aesKeySize))
	if err != nil {
		return nil, err
	}
	b := p.Bytes()
	b[0], b = ringFormat, b[1:]
	for _, k := range r.keys {
		if _, err := hex.Decode(b[:keyIDSize], []byte(k.id)); err != nil {
			p.Destroy()
			return nil, fmt.Errorf("key ID %q: %w", k.id, err)
		}
		copy(b[keyIDSize:], k.key.Bytes())
		runtime.KeepAlive(k.key)
		b = b[keyIDSize+aesKeySize:]
	}
	return p, nil
}

func parseRing(p *Plaintext) (*Ring, error) {
	const entry = keyIDSize + aesKeySize
	b := p.Bytes()
	if len(b) < 1+entry || b[0] != ringFormat || (len(b)-1)%entry != 0 || (len(b)-1)/entry > maxRingKeys {
		return nil, errors.New("the key ring's format is unknown: it was written by another version of Warren")
	}
	r := &Ring{}
	for b = b[1:]; len(b) > 0; b = b[entry:] {
		id := hex.EncodeToString(b[:keyIDSize])
		if slices.ContainsFunc(r.keys, func(k dataKey) bool { return k.id == id }) {
			r.Destroy()
			return nil, fmt.Errorf("the key ring holds key %s twice", id)
		}
		key, err := NewPlaintext(aesKeySize)
		if err != nil {
			r.Destroy()
			return nil, err
		}
		copy(key.Bytes(), b[keyIDSize:])
		s, err := newSealer(key)
		if err != nil {
			r.Destroy()
			return nil, err
		}
		r.keys = append(r.keys, dataKey{id, s})
	}
	return r, nil
}

// Destroy wipes the ring's keys.
func (r *Ring) Destroy() {
	for _, k := range r.keys {
		k.destroy()
	}
}
