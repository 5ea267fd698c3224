package spec

import (
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// MaxSecretBytes limits one version of a secret: delivered bytes, all keys
	// together.
	MaxSecretBytes = 1 << 20
	// MaxSecretKeys limits the files of a secret that is a directory.
	MaxSecretKeys = 256
	// SecretsDir is where containers find their secrets.
	SecretsDir = "/run/secrets"
)

// DefaultSecret fills in what a request for a new secret left out.
func DefaultSecret(r *warrenv1.CreateSecretRequest) {
	r.Namespace = Namespace(r.Namespace)
}

// ValidateSecret checks all of a request for a new secret but the sizes of its
// values, which nobody knows before they are opened: see SecretSize.
func ValidateSecret(r *warrenv1.CreateSecretRequest) error {
	if err := ValidNamespace(r.GetNamespace()); err != nil {
		return err
	}
	if err := ValidName(KindSecret, r.GetName()); err != nil {
		return err
	}
	if err := Labels(r.GetLabels()); err != nil {
		return err
	}
	if r.GetKeep() != 0 {
		if err := KeepVersions(r.GetName(), r.GetKeep()); err != nil {
			return err
		}
	}
	if err := validateLifetime(r.GetName(), r.GetLifetime()); err != nil {
		return err
	}
	return secretItems(r.GetName(), r.GetItems())
}

func secretItems(name string, items []*warrenv1.SealedItem) error {
	switch {
	case len(items) == 0:
		return invalid(KindSecret, name, "secret %q has no value", name).
			WithHint("give one with --from-literal KEY=VALUE, --from-file PATH or --from-stdin")
	case len(items) > MaxSecretKeys:
		return invalid(KindSecret, name, "secret %q has %d keys; the limit is %d", name, len(items), MaxSecretKeys)
	}
	seen := map[string]bool{}
	for _, item := range items {
		key := item.GetKey()
		if len(items) == 1 && key == "" {
			return nil
		}
		if err := SecretKey(name, key); err != nil {
			return err
		}
		if seen[key] {
			return invalid(KindSecret, name, "secret %q has the key %q twice", name, key)
		}
		seen[key] = true
	}
	return nil
}

// SecretKey checks one key of a secret, which becomes the name of a file.
func SecretKey(name, key string) error {
	if key == "" {
		return invalid(KindSecret, name, "secret %q has an empty key", name)
	}
	if len(key) > 253 {
		return invalid(KindSecret, name, "a key of secret %q is %d characters long; the limit is 253", name, len(key))
	}
	if key == "." || key == ".." || strings.ContainsFunc(key, notInFileName) {
		return invalid(KindSecret, name, "key %q of secret %q is not valid: keys are letters, digits, '-', '.' and '_'", key, name)
	}
	return nil
}

// SecretSize checks the delivered bytes of one version, all keys together.
func SecretSize(name string, size uint64) error {
	if size == 0 {
		return invalid(KindSecret, name, "the value of secret %q is empty", name)
	}
	if size > MaxSecretBytes {
		return invalid(KindSecret, name, "the value of secret %q is larger than the limit of %d bytes (1 MB)", name, MaxSecretBytes).
			WithHint("put what is not secret into a volume or the image")
	}
	return nil
}

// ParseLiteral splits KEY=VALUE at its first '='. The value may hold anything,
// more of them included. No error repeats the argument: it may be the secret.
func ParseLiteral(arg string) (key, value string, err error) {
	const form = "write it as --from-literal KEY=VALUE; KEY may be any word when there is only one"
	key, value, found := strings.Cut(arg, "=")
	if !found {
		return "", "", invalid(KindSecret, "", "a literal without '=' has no key").WithHint(form)
	}
	if key == "" {
		return "", "", invalid(KindSecret, "", "a literal has an empty key").WithHint(form)
	}
	if value == "" {
		return "", "", invalid(KindSecret, "", "the value of literal %q is empty", key)
	}
	return key, value, nil
}

func notInFileName(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._", c))
}
