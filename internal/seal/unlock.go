package seal

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
)

const (
	unlockKeySize  = 32
	unlockSumSize  = 3 // with the key 35 bytes: 56 base32 digits, no spare bits
	unlockPrefix   = "wrn-unlock-"
	unlockGroup    = 8
	unlockMaxInput = 256
)

var unlockEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// UnlockKey opens a cluster's key ring. It is 256 random bits, never in the
// database, so that the database alone opens nothing.
type UnlockKey struct {
	redacted
	secret *Plaintext
}

// NewUnlockKey draws an unlock key from rand.
func NewUnlockKey(rand io.Reader) (UnlockKey, error) {
	p, err := randomPlaintext(rand, unlockKeySize)
	if err != nil {
		return UnlockKey{}, err
	}
	return UnlockKey{secret: p}, nil
}

func randomPlaintext(rand io.Reader, n int) (*Plaintext, error) {
	p, err := NewPlaintext(n)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(rand, p.Bytes()); err != nil {
		p.Destroy()
		return nil, fmt.Errorf("draw a random key: %w", err)
	}
	return p, nil
}

// ParseUnlockKey reads what Reveal gave. Case, spaces, line ends and the
// dashes between groups do not matter. The error never quotes the input.
func ParseUnlockKey(s string) (UnlockKey, error) {
	if len(s) > unlockMaxInput {
		return UnlockKey{}, errors.New("not an unlock key: too long")
	}
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	digits, ok := strings.CutPrefix(s, unlockPrefix)
	if !ok {
		return UnlockKey{}, fmt.Errorf("not an unlock key: it should start with %s", unlockPrefix)
	}
	digits = strings.ReplaceAll(digits, "-", "")
	b, err := unlockEncoding.DecodeString(digits)
	defer clear(b)
	// The decoder by itself would pass over a digit too many.
	if err != nil || len(digits) != unlockEncoding.EncodedLen(unlockKeySize+unlockSumSize) {
		return UnlockKey{}, errors.New("not a whole unlock key: digits are missing, extra or unknown")
	}
	p, err := NewPlaintext(unlockKeySize)
	if err != nil {
		return UnlockKey{}, err
	}
	copy(p.Bytes(), b)
	k := UnlockKey{secret: p}
	if sum := k.checksum(); string(sum[:]) != string(b[unlockKeySize:]) {
		k.Destroy()
		return UnlockKey{}, errors.New("mistyped unlock key: its checksum does not fit")
	}
	return k, nil
}

// Reveal returns the key as a person writes it down, wrn-unlock- and seven
// groups. This is the key itself: show it on a terminal or write it to a file
// of mode 0600, and nowhere else.
func (k UnlockKey) Reveal() string {
	sum := k.checksum()
	b := append(append(make([]byte, 0, unlockKeySize+unlockSumSize), k.secret.Bytes()...), sum[:]...)
	defer clear(b)
	defer runtime.KeepAlive(k.secret)
	digits := unlockEncoding.EncodeToString(b)
	var groups []string
	for ; len(digits) > unlockGroup; digits = digits[unlockGroup:] {
		groups = append(groups, digits[:unlockGroup])
	}
	return unlockPrefix + strings.Join(append(groups, digits), "-")
}

// Fingerprint names the key without telling it: 16 hexadecimal digits. The key
// has 256 bits of entropy, so 64 bits of a hash of it help nobody to guess it.
func (k UnlockKey) Fingerprint() string {
	sum := k.hash("warren unlock key fingerprint v1")
	return hex.EncodeToString(sum[:8])
}

// checksum finds mistyped digits; it is written beside the key and nowhere else.
func (k UnlockKey) checksum() (sum [unlockSumSize]byte) {
	full := k.hash("warren unlock key checksum v1")
	copy(sum[:], full[:])
	return sum
}

func (k UnlockKey) hash(label string) [sha256.Size]byte {
	b := encode(label, k.secret.Bytes())
	runtime.KeepAlive(k.secret)
	defer clear(b)
	return sha256.Sum256(b)
}

// Equal compares two keys in constant time.
func (k UnlockKey) Equal(other UnlockKey) bool { return k.secret.Equal(other.secret) }

// IsZero tells whether there is no key at all.
func (k UnlockKey) IsZero() bool { return k.secret == nil }

// Destroy wipes the key.
func (k UnlockKey) Destroy() { k.secret.Destroy() }
