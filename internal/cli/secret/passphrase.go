package secret

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"filippo.io/age"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/secretfile"
	"github.com/cuemby/warren/internal/seal"
)

// minPassphrase keeps out what is tried first, in bytes.
const minPassphrase = 8

// passphraseFrom reads the passphrase from a file, whose last newline is not
// part of it, or asks the person at the terminal: twice for a new one.
func passphraseFrom(s *command.Shell, file string, isNew bool) (*seal.Plaintext, error) {
	var text []byte
	var err error
	switch {
	case file != "":
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("read the passphrase: %w", err)
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	case !command.Terminal(s.In):
		return nil, &command.Usage{
			Message: "there is no terminal to ask for the passphrase at",
			Hint:    "give it with --passphrase-file PATH",
		}
	default:
		if text, err = s.AskSecret("Passphrase (not shown, ends with Enter): "); err != nil {
			return nil, err
		}
		if isNew {
			err = again(s, text)
		}
	}
	defer clear(text)
	if err != nil {
		return nil, err
	}
	if isNew && len(text) < minPassphrase {
		return nil, &command.Usage{
			Message: fmt.Sprintf("the passphrase has fewer than %d characters: whoever gets the file could find it by trying", minPassphrase),
			Hint:    "take several words, or seal to a key: --recipient age1…",
		}
	}
	return seal.PlaintextFrom(text)
}

func again(s *command.Shell, text []byte) error {
	second, err := s.AskSecret("The same again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(text, second) {
		err = errors.New("the two passphrases differ")
	}
	return err
}

// opener is what an import has to open its file with.
func opener(s *command.Shell, passphraseFile string, identityFiles []string) (o secretfile.Opener, err error) {
	o.Passphrase = func() (*seal.Plaintext, error) { return passphraseFrom(s, passphraseFile, false) }
	for _, path := range identityFiles {
		f, err := os.Open(path)
		if err != nil {
			return o, fmt.Errorf("read the identity: %w", err)
		}
		found, err := age.ParseIdentities(f)
		f.Close()
		if err != nil {
			// The library's error may repeat a line of the file.
			return o, fmt.Errorf("%s has no identity of age: a line that begins with AGE-SECRET-KEY-1", path)
		}
		o.Identities = append(o.Identities, found...)
	}
	return o, nil
}
