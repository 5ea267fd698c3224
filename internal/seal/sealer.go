package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"runtime"
)

const (
	aesKeySize = 32
	ivSize     = 16
	tagSize    = 16
)

var errAuthentication = errors.New("message authentication failed")

// sealer is AES-256-GCM with random 128-bit IVs under one key.
type sealer struct {
	key  *Plaintext
	aead cipher.AEAD
}

// newSealer takes over key, and destroys it when it fails.
func newSealer(key *Plaintext) (*sealer, error) {
	if key.Len() != aesKeySize {
		n := key.Len()
		key.Destroy()
		return nil, fmt.Errorf("a data key has %d bytes, not %d", n, aesKeySize)
	}
	// The expanded key is on the Go heap, once, for as long as the sealer
	// lives; making it anew for each call would scatter copies instead.
	block, err := aes.NewCipher(key.Bytes())
	if err != nil {
		key.Destroy()
		return nil, err
	}
	// 128-bit IVs from the system's generator: GCM hashes them to its 128-bit
	// initial counter, so after 2^32 values (NIST's limit for random IVs) of
	// 1 MB (2^16 blocks) each, two counter ranges meet with a probability
	// below 2^-46. With 96-bit IVs it would be 2^-33.
	aead, err := cipher.NewGCMWithNonceSize(block, ivSize)
	if err != nil {
		key.Destroy()
		return nil, err
	}
	return &sealer{key: key, aead: aead}, nil
}

func (s *sealer) seal(rand io.Reader, aad []byte, p *Plaintext) (iv, ciphertext []byte, err error) {
	defer runtime.KeepAlive(p)
	return s.sealBytes(rand, aad, p.Bytes())
}

func (s *sealer) sealBytes(rand io.Reader, aad, value []byte) (iv, ciphertext []byte, err error) {
	iv = make([]byte, ivSize)
	// A short read would leave zero bytes in the IV: ReadFull makes it an error.
	if _, err := io.ReadFull(rand, iv); err != nil {
		return nil, nil, fmt.Errorf("draw an IV: %w", err)
	}
	return iv, s.aead.Seal(nil, iv, value, aad), nil
}

// open decrypts straight into locked memory, so no copy is left on the heap.
func (s *sealer) open(iv, ciphertext, aad []byte) (*Plaintext, error) {
	p, err := NewPlaintext(max(0, len(ciphertext)-tagSize))
	if err != nil {
		return nil, err
	}
	if _, err := s.openInto(p, iv, ciphertext, aad); err != nil {
		p.Destroy()
		return nil, err
	}
	return p, nil
}

// openInto decrypts into the start of p, which has room, and returns how many
// bytes the value has.
func (s *sealer) openInto(p *Plaintext, iv, ciphertext, aad []byte) (int, error) {
	// Open panics on a nonce of another size, and the IV comes from a record.
	if len(iv) != ivSize || len(ciphertext) < tagSize {
		return 0, errAuthentication
	}
	value, err := s.aead.Open(p.Bytes()[:0], iv, ciphertext, aad)
	runtime.KeepAlive(p)
	if err != nil {
		return 0, errAuthentication
	}
	return len(value), nil
}

func (s *sealer) destroy() { s.key.Destroy() }
