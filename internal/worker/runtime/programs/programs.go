// Package programs provides the three small programs that containers need
// beside Warren: containerd's shim, which stays with each container when
// Warren is restarted; runc, which makes the container; and warren-log, which
// writes what it prints to a file.
//
// Built with the tag embed_helpers (make build), they are inside the binary.
// Built without it, they are looked for beside the executable and on $PATH.
// Either way they are used through paths that never change, because those
// paths are written into the records of running containers.
package programs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Set is where the helpers are.
type Set struct {
	Shim string
	Runc string
	Log  string
}

const (
	shim = "containerd-shim-runc-v2"
	runc = "runc"
	log  = "warren-log"
)

// Install makes the helpers available in dir and returns their paths there.
// One that is there already and the same is left alone; another is replaced by
// rename, so that containers which started from it run on.
func Install(dir string) (Set, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Set{}, fmt.Errorf("make the helpers' directory: %w", err)
	}
	for _, name := range []string{shim, runc, log} {
		if err := install(dir, name); err != nil {
			return Set{}, fmt.Errorf("install helper %s: %w", name, err)
		}
	}
	return Set{
		Shim: filepath.Join(dir, shim),
		Runc: filepath.Join(dir, runc),
		Log:  filepath.Join(dir, log),
	}, nil
}

// replace puts what write makes at path at once, never half of it.
func replace(path string, write func(temporary string) error) error {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := write(temporary); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return os.Rename(temporary, path)
}

// same says whether the file at path has that size and digest.
func same(path string, size int, digest string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(size) || info.Mode().Perm()&0o111 == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return false
	}
	return hex.EncodeToString(sum.Sum(nil)) == digest
}

// parseSum reads "<sha256> <size>" as package pack writes it.
func parseSum(b []byte) (digest string, size int, err error) {
	_, err = fmt.Fscanf(bytes.NewReader(b), "%64s %d", &digest, &size)
	return digest, size, err
}
