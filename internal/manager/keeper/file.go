package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cuemby/warren/internal/failpoint"
	"github.com/cuemby/warren/internal/seal"
)

// The files of a manager's keys:
//
//	unlock.key        the unlock key, unless the cluster locks itself
//	unlock.key.next   the one that replaces it, while it is handed out
//	scrubbed          fingerprint of the unlock key that is the only one to open
//	                  anything that is on this manager's disk
const (
	presentFile  = "unlock.key"
	nextFile     = "unlock.key.next"
	scrubbedFile = "scrubbed"
)

type files struct{ dir string }

func (f files) path(name string) string { return filepath.Join(f.dir, name) }

func (f files) read() (seal.UnlockKey, error) { return ReadUnlockKey(f.path(presentFile)) }

func (f files) readNext() (seal.UnlockKey, error) {
	u, err := ReadUnlockKey(f.path(nextFile))
	if errors.Is(err, fs.ErrNotExist) {
		return seal.UnlockKey{}, nil
	}
	return u, err
}

// ReadUnlockKey reads an unlock key as a person or a manager has put it down.
func ReadUnlockKey(path string) (seal.UnlockKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return seal.UnlockKey{}, fmt.Errorf("read the unlock key: %w", err)
	}
	defer clear(text)
	unlock, err := seal.ParseUnlockKey(strings.TrimSpace(string(text)))
	if err != nil {
		return seal.UnlockKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return unlock, nil
}

// WriteUnlockKey puts a manager's unlock key into its directory of keys.
func WriteUnlockKey(dir string, u seal.UnlockKey) error {
	return files{dir}.write(presentFile, u.Reveal())
}

func (f files) writeNext(u seal.UnlockKey) error {
	defer failpoint.Hit("keeper.next-written")
	return f.write(nextFile, u.Reveal())
}

// settle leaves the present key, and the next one if there is one.
func (f files) settle(present, next seal.UnlockKey) error {
	if kept, err := f.read(); err != nil || !kept.Equal(present) {
		if err := f.write(presentFile, present.Reveal()); err != nil {
			return err
		}
		failpoint.Hit("keeper.present-written")
	} else {
		kept.Destroy()
	}
	if next.IsZero() {
		return f.unlink(nextFile)
	}
	return nil
}

// remove leaves no key.
func (f files) remove() error { return errors.Join(f.unlink(presentFile), f.unlink(nextFile)) }

func (f files) scrubbedFor() (string, error) {
	text, err := os.ReadFile(f.path(scrubbedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

func (f files) markScrubbed(fingerprint string) error { return f.write(scrubbedFile, fingerprint) }

// write replaces a file, so that a crash leaves the old content or the new one.
func (f files) write(name, text string) error {
	file, err := os.CreateTemp(f.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text + "\n")
	if err := errors.Join(err, file.Chmod(0o600), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.path(name)); err != nil {
		return err
	}
	return f.sync()
}

func (f files) unlink(name string) error {
	err := os.Remove(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, f.sync())
}

func (f files) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
