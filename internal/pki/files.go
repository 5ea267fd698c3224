package pki

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cuemby/warren/internal/seal"
	"golang.org/x/sys/unix"
)

const (
	caFile   = "ca.pem"
	certFile = "cert.pem"
	keyFile  = "key.pem"

	maxPEM = 1 << 20
	// A reader that finds a file gone met a replacement half way.
	readAttempts = 3
)

// owner is who files are given to; nobody when uid is -1.
type owner struct{ uid, gid int }

var sameOwner = owner{-1, -1}

// WriteBundle puts a bundle's files into the directory, which is made, or
// replaced as a whole: after a crash there is the old bundle or the new one,
// never a certificate with another's key. Its parent must exist.
func WriteBundle(dir string, b Bundle) error {
	parent, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return fmt.Errorf("write certificates: %w", err)
	}
	defer parent.Close()
	if err := writeBundle(parent, filepath.Base(dir), b, sameOwner); err != nil {
		return fmt.Errorf("write certificates to %s: %w", dir, err)
	}
	return nil
}

// ReadBundle reads what WriteBundle wrote. The error is fs.ErrNotExist when
// the directory is not there.
func ReadBundle(dir string) (Bundle, error) {
	parent, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return Bundle{}, fmt.Errorf("read certificates: %w", err)
	}
	defer parent.Close()
	b, err := readBundle(parent, filepath.Base(dir))
	if err != nil {
		return Bundle{}, fmt.Errorf("read certificates in %s: %w", dir, err)
	}
	return b, nil
}

func writeBundle(parent *os.Root, name string, b Bundle, to owner) error {
	fresh := ".new-" + rand.Text()
	if err := parent.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	// After an exchange this is the old bundle.
	defer parent.RemoveAll(fresh)
	dir, err := parent.OpenRoot(fresh)
	if err != nil {
		return err
	}
	defer dir.Close()
	defer runtime.KeepAlive(b.Key)
	for _, f := range []struct {
		name    string
		content []byte
	}{{caFile, b.CA}, {certFile, b.Certificate}, {keyFile, b.Key.Bytes()}} {
		if err := writeFile(dir, f.name, f.content, to); err != nil {
			return err
		}
	}
	self, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	if err := self.Chown(to.uid, to.gid); err != nil {
		return err
	}
	if err := self.Sync(); err != nil {
		return err
	}
	return exchange(parent, fresh, name)
}

// writeFile makes a file that was not there, so that it can be nobody else's.
func writeFile(dir *os.Root, name string, content []byte, to owner) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Chown(to.uid, to.gid); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// exchange puts fresh in name's place in one step, and what was there, if
// anything, in fresh's.
func exchange(parent *os.Root, fresh, name string) error {
	dir, err := parent.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	err = unix.Renameat2(fd, fresh, fd, name, unix.RENAME_NOREPLACE)
	if errors.Is(err, fs.ErrExist) {
		err = unix.Renameat2(fd, fresh, fd, name, unix.RENAME_EXCHANGE)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: fresh, New: name, Err: err}
	}
	return dir.Sync()
}

func readBundle(parent *os.Root, name string) (b Bundle, err error) {
	for range readAttempts {
		b, err = readBundleOnce(parent, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return b, err
}

// readBundleOnce reads all files through one handle of the directory, so that
// they are of one bundle.
func readBundleOnce(parent *os.Root, name string) (Bundle, error) {
	dir, err := parent.OpenRoot(name)
	if err != nil {
		return Bundle{}, err
	}
	defer dir.Close()
	var contents [3][]byte
	for i, file := range []string{caFile, certFile, keyFile} {
		info, err := dir.Stat(file)
		if err != nil {
			return Bundle{}, err
		}
		if !info.Mode().IsRegular() || info.Size() > maxPEM {
			return Bundle{}, fmt.Errorf("%s is no PEM file", file)
		}
		if contents[i], err = dir.ReadFile(file); err != nil {
			return Bundle{}, err
		}
	}
	key, err := seal.PlaintextFrom(contents[2])
	if err != nil {
		return Bundle{}, err
	}
	return Bundle{CA: contents[0], Certificate: contents[1], Key: key}, nil
}
