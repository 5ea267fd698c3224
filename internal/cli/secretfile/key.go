package secretfile

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/crypto/scrypt"

	"github.com/cuemby/warren/internal/seal"
)

// What a file may be sealed to.
const (
	byPassphrase = "passphrase"
	byRecipients = "recipients"
)

// How dear it is to try a passphrase: 2 to the power of it. Age's own default,
// about a second, and its own limit.
const (
	defaultWork = 18
	maxWork     = 22
)

// Key names what opens a file.
type Key struct {
	// "passphrase" or "recipients".
	Kind string `json:"kind"`
	// Fingerprint of the passphrase, as dear to try as the passphrase itself, or
	// of the recipients.
	Fingerprint string `json:"fingerprint"`
	Salt        []byte `json:"salt,omitempty"`
	Work        int    `json:"work,omitempty"`
	// The public keys of those who can open it: age1…
	Recipients []string `json:"recipients,omitempty"`
}

// Sealing is what a file is written with.
type Sealing struct {
	key        *Key
	recipients []age.Recipient
}

// Plain writes a file that anybody can read.
func Plain() *Sealing { return &Sealing{} }

// WithPassphrase seals a file to a passphrase, which stays the caller's.
func WithPassphrase(p *seal.Plaintext) (*Sealing, error) { return withPassphrase(p, defaultWork) }

func withPassphrase(p *seal.Plaintext, work int) (*Sealing, error) {
	if p.Len() == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	recipient, err := age.NewScryptRecipient(string(p.Bytes()))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(work)
	key := &Key{Kind: byPassphrase, Salt: make([]byte, 16), Work: work}
	if _, err := rand.Read(key.Salt); err != nil {
		return nil, err
	}
	key.Fingerprint, err = key.ofPassphrase(p)
	return &Sealing{key, []age.Recipient{recipient}}, err
}

// WithRecipients seals a file to the holders of age keys: age1…
func WithRecipients(recipients ...string) (*Sealing, error) {
	s := &Sealing{key: &Key{Kind: byRecipients}}
	for _, text := range recipients {
		r, err := age.ParseX25519Recipient(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%q is no public key of age: age1…", text)
		}
		s.recipients = append(s.recipients, r)
		s.key.Recipients = append(s.key.Recipients, r.String())
	}
	s.key.Fingerprint = fingerprint([]byte(strings.Join(s.key.Recipients, "\n")))
	return s, nil
}

func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func (k *Key) ofPassphrase(p *seal.Plaintext) (string, error) {
	defer runtime.KeepAlive(p)
	if k.Work < 1 || k.Work > maxWork {
		return "", ErrDamaged
	}
	// The label keeps it from being what age derives with the same salt.
	derived, err := scrypt.Key(p.Bytes(), append([]byte("warren fingerprint"), k.Salt...), 1<<k.Work, 8, 1, 32)
	if err != nil {
		return "", err
	}
	return fingerprint(derived), nil
}

// Opener is what may open a file: a passphrase or age identities. The zero
// value opens what is not encrypted.
type Opener struct {
	// Passphrase is asked for when a file needs one.
	Passphrase func() (*seal.Plaintext, error)
	Identities []age.Identity
}

// identities returns what opens the payload, after a look at the fingerprint.
func (o Opener) identities(k *Key) ([]age.Identity, error) {
	switch k.Kind {
	case byPassphrase:
		return o.passphrase(k)
	case byRecipients:
		return o.recipient(k)
	}
	return nil, ErrDamaged
}

func (o Opener) passphrase(k *Key) ([]age.Identity, error) {
	if o.Passphrase == nil {
		return nil, fmt.Errorf("%w: a passphrase", ErrKey)
	}
	p, err := o.Passphrase()
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	have, err := k.ofPassphrase(p)
	if err != nil {
		return nil, err
	}
	if have != k.Fingerprint {
		return nil, fmt.Errorf("%w: the passphrase is wrong (its fingerprint is %s, the file wants %s)", ErrKey, have, k.Fingerprint)
	}
	identity, err := age.NewScryptIdentity(string(p.Bytes()))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxWork)
	return []age.Identity{&remembered{Identity: identity}}, nil
}

func (o Opener) recipient(k *Key) ([]age.Identity, error) {
	for _, identity := range o.Identities {
		if x, ok := identity.(*age.X25519Identity); ok && slices.Contains(k.Recipients, x.Recipient().String()) {
			return []age.Identity{&remembered{Identity: x}}, nil
		}
	}
	return nil, fmt.Errorf("%w: it wants the identity of %s", ErrKey, strings.Join(k.Recipients, " or "))
}

// remembered asks an identity once: a file is gone through twice, and a
// passphrase takes a second each time.
type remembered struct {
	age.Identity
	fileKey []byte
}

func (r *remembered) Unwrap(stanzas []*age.Stanza) (_ []byte, err error) {
	if r.fileKey == nil {
		r.fileKey, err = r.Identity.Unwrap(stanzas)
	}
	return slices.Clone(r.fileKey), err
}
