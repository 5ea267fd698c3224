package seal

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// A ring is replaced in three steps, so that whoever holds any ring of two
// neighbouring steps can open what the holder of the other one seals:
//
//	WithNewKey   the new key opens, the old one seals
//	SealingWith  the new key seals, the old one opens
//	Only         the old key is gone
//
// Each returns a ring of its own, to be wrapped and destroyed.

// KeyIDs names the data keys, the one that seals first.
func (r *Ring) KeyIDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

// WithNewKey returns the ring with one more data key, which only opens, and
// that key's ID.
func (r *Ring) WithNewKey(rand io.Reader) (*Ring, string, error) {
	if len(r.keys) >= maxRingKeys {
		return nil, "", fmt.Errorf("the key ring is full: it has %d keys", len(r.keys))
	}
	fresh, err := NewRing(rand)
	if err != nil {
		return nil, "", err
	}
	whole, err := r.clone()
	if err != nil {
		fresh.Destroy()
		return nil, "", err
	}
	whole.keys = append(whole.keys, fresh.keys...)
	return whole, fresh.KeyID(), nil
}

// SealingWith returns the ring with the key of that ID as the one that seals.
func (r *Ring) SealingWith(id string) (*Ring, error) {
	i := slices.Index(r.KeyIDs(), id)
	if i < 0 {
		return nil, fmt.Errorf("seal with key %q: %w", id, ErrUnknownKey)
	}
	whole, err := r.clone()
	if err != nil {
		return nil, err
	}
	chosen := whole.keys[i]
	whole.keys = slices.Insert(slices.Delete(whole.keys, i, i+1), 0, chosen)
	return whole, nil
}

// Only returns the ring with that one key.
func (r *Ring) Only(id string) (*Ring, error) {
	whole, err := r.SealingWith(id)
	if err != nil {
		return nil, err
	}
	for _, k := range whole.keys[1:] {
		k.destroy()
	}
	whole.keys = whole.keys[:1]
	return whole, nil
}

// clone copies the keys: a ring can be destroyed while a copy is in use.
func (r *Ring) clone() (*Ring, error) {
	p, err := r.marshal()
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return parseRing(p)
}

// Resealer seals again, with the ring's present key, what an earlier one has
// sealed. All values pass through one piece of locked memory. One goroutine
// uses it at a time.
type Resealer struct {
	ring    *Ring
	scratch *Plaintext
}

// Resealer returns one for the ring; whoever makes it destroys it.
func (r *Ring) Resealer() *Resealer { return &Resealer{ring: r} }

// Reseal gives the same value, bound to the same context, under the present
// key. A box that is sealed with that already is returned as it is. The errors
// are those of Open.
func (x *Resealer) Reseal(rand io.Reader, c Context, b Box) (Box, error) {
	if b.KeyID == x.ring.KeyID() {
		return b, nil
	}
	i := slices.Index(x.ring.KeyIDs(), b.KeyID)
	if i < 0 {
		return Box{}, fmt.Errorf("open %s: %w (%q)", c, ErrUnknownKey, b.KeyID)
	}
	if err := x.reserve(len(b.Ciphertext)); err != nil {
		return Box{}, err
	}
	n, err := x.ring.keys[i].openInto(x.scratch, b.IV, b.Ciphertext, c.aad(b.KeyID))
	if errors.Is(err, errAuthentication) {
		err = ErrAltered
	}
	if err != nil {
		return Box{}, fmt.Errorf("open %s: %w", c, err)
	}
	k := x.ring.keys[0]
	value := x.scratch.Bytes()[:n]
	iv, ct, err := k.sealBytes(rand, c.aad(k.id), value)
	clear(value)
	if err != nil {
		return Box{}, fmt.Errorf("seal %s: %w", c, err)
	}
	return Box{KeyID: k.id, IV: iv, Ciphertext: ct}, nil
}

func (x *Resealer) reserve(n int) error {
	if x.scratch != nil && x.scratch.Len() >= n {
		return nil
	}
	p, err := NewPlaintext(max(n, 16<<10))
	if err != nil {
		return err
	}
	x.Destroy()
	x.scratch = p
	return nil
}

// Destroy gives the memory back.
func (x *Resealer) Destroy() { x.scratch.Destroy() }
