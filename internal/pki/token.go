package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

const (
	tokenPrefix = "WRNT"
	// tokenVersion counts the forms of tokens.
	tokenVersion  = "1"
	tokenIDLen    = 10
	tokenSecret   = 26 // digits of rand.Text: 130 random bits
	tokenMaxInput = 256
)

var tokenEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Token is what admits somebody to a cluster, once or for a while. It names
// the cluster's CA by fingerprint, so that whoever joins knows that it speaks
// to the right cluster before it says the secret.
type Token struct {
	// Fingerprint is SHA-256 of the CA's certificate.
	Fingerprint [sha256.Size]byte
	// ID names the token; it is not secret.
	ID string
	// Secret is said to a manager of that CA, and to nobody else.
	Secret string
}

// NewToken draws a token for the cluster of a CA's certificate.
func NewToken(caPEM []byte) (Token, error) {
	cert, _, err := parseCA(caPEM)
	if err != nil {
		return Token{}, err
	}
	return Token{Fingerprint: sha256.Sum256(cert.Raw), ID: rand.Text()[:tokenIDLen], Secret: rand.Text()}, nil
}

// Hash is what the cluster keeps of the secret. The secret is random, so a
// plain hash gives nothing away.
func (t Token) Hash() []byte { return HashTokenSecret(t.Secret) }

// HashTokenSecret is Token.Hash of a secret that was sent.
func HashTokenSecret(secret string) []byte {
	sum := sha256.Sum256([]byte("warren join token v1\x00" + secret))
	return sum[:]
}

// Reveal returns the whole token, as a person copies it.
func (t Token) Reveal() string {
	return strings.Join([]string{tokenPrefix, tokenVersion, tokenEncoding.EncodeToString(t.Fingerprint[:]), t.ID, t.Secret}, "-")
}

// String names the token without its secret.
func (t Token) String() string {
	return tokenPrefix + "-" + tokenVersion + "-…-" + t.ID + "-[redacted]"
}

// GoString is String, so that no verb prints the secret.
func (t Token) GoString() string { return t.String() }

// ParseToken reads what Reveal gave; case and surrounding space do not matter.
// The error never quotes the input.
func ParseToken(text string) (Token, error) {
	if len(text) > tokenMaxInput {
		return Token{}, errors.New("this is no join token: it is too long")
	}
	parts := strings.Split(strings.ToUpper(strings.TrimSpace(text)), "-")
	if parts[0] != tokenPrefix || len(parts) < 2 {
		return Token{}, fmt.Errorf("this is no join token: they begin with %s-", tokenPrefix)
	}
	if parts[1] != tokenVersion {
		return Token{}, errors.New("this join token is of another version of Warren; install that version here too")
	}
	if len(parts) != 5 || len(parts[3]) != tokenIDLen || len(parts[4]) != tokenSecret {
		return Token{}, errors.New("the join token is not whole: a part of it is missing or there twice")
	}
	for _, digits := range parts[3:] {
		if strings.Trim(digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			return Token{}, errors.New("the join token is mistyped: it has letters A to Z and digits 2 to 7")
		}
	}
	t := Token{ID: parts[3], Secret: parts[4]}
	sum, err := tokenEncoding.DecodeString(parts[2])
	// The decoder by itself passes over bits that no fingerprint has.
	if err != nil || len(sum) != len(t.Fingerprint) || tokenEncoding.EncodeToString(sum) != parts[2] {
		return Token{}, errors.New("the join token is mistyped, or not whole: its fingerprint is none")
	}
	copy(t.Fingerprint[:], sum)
	return t, nil
}

// Fingerprint is what tokens name a CA's certificate (PEM) by.
func Fingerprint(caPEM []byte) (sum [sha256.Size]byte, err error) {
	cert, _, err := parseCA(caPEM)
	if err != nil {
		return sum, err
	}
	return sha256.Sum256(cert.Raw), nil
}
