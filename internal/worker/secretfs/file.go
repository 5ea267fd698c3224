package secretfs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/cuemby/warren/internal/seal"
	"golang.org/x/sys/unix"
)

const (
	dirMode = 0o555
	// DefaultMode lets every user of the container read: images that do not
	// run as root need it.
	DefaultMode fs.FileMode = 0o444
)

// File says where a value goes and whose it is.
type File struct {
	// Target is the secret's path below /run/secrets.
	Target string
	// Key is the file within the target for a secret of several, else empty.
	Key string
	// Mode is DefaultMode when 0.
	Mode fs.FileMode
	// UID and GID are the container's, root when 0.
	UID, GID int
}

func (f File) path() (string, error) {
	if !fs.ValidPath(f.Target) || f.Target == "." {
		return "", fmt.Errorf("secret target %q is not a path below /run/secrets", f.Target)
	}
	if f.Key == "" {
		return path.Join(filesDir, f.Target), nil
	}
	if !validName(f.Key) {
		return "", fmt.Errorf("secret key %q of %s is not a file name", f.Key, f.Target)
	}
	return path.Join(filesDir, f.Target, f.Key), nil
}

// Write puts a value where the task's container sees it, exactly its bytes. A
// file that is there is replaced in one step: a reader sees the old value or
// the new one. ErrFull when it does not fit; the old file is then untouched.
func (f *FS) Write(taskID string, file File, p *seal.Plaintext) error {
	name, err := file.path()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.task(taskID)
	if err == nil {
		err = m.write(name, file, p)
	}
	if err != nil {
		return fmt.Errorf("write secret %s of task %s: %w", file.Target, taskID, err)
	}
	return nil
}

func (m *memoryFS) write(name string, file File, p *seal.Plaintext) error {
	if err := m.fits(uint64(p.Len())); err != nil {
		return err
	}
	if err := m.mkdirAll(path.Dir(name)); err != nil {
		return err
	}
	staged := path.Join(stagingDir, rand.Text())
	err := m.stage(staged, file, p)
	if err == nil {
		err = m.root.Rename(staged, name)
	}
	if err != nil {
		// What was staged of it is a piece of the value.
		if e := m.erase(staged); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if errors.Is(err, unix.ENOSPC) {
		return ErrFull
	}
	return err
}

// fits keeps to the capacity where the kernel does not.
func (m *memoryFS) fits(size uint64) error {
	if m.limited || m.capacity == 0 {
		return nil
	}
	used, err := m.used()
	if err != nil {
		return err
	}
	if used+pages(size) > m.capacity {
		return ErrFull
	}
	return nil
}

func (m *memoryFS) stage(name string, file File, p *seal.Plaintext) error {
	// No reader until it has its owner and mode.
	out, err := m.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	defer runtime.KeepAlive(p)
	if _, err := out.Write(p.Bytes()); err != nil {
		return err
	}
	if err := out.Chown(file.UID, file.GID); err != nil {
		return err
	}
	mode := file.Mode
	if mode == 0 {
		mode = DefaultMode
	}
	if err := out.Chmod(mode); err != nil {
		return err
	}
	return out.Close()
}

// mkdirAll makes the directories above a target, whatever the umask is.
func (m *memoryFS) mkdirAll(dir string) error {
	if dir == filesDir {
		return nil
	}
	if err := m.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	err := m.root.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.root.Chmod(dir, dirMode)
}

// Remove takes a secret, all its files, out of the task's container at once
// and overwrites it. One that is not there is no error. The targets of a task
// do not lie within one another.
func (f *FS) Remove(taskID, target string) error {
	name, err := File{Target: target}.path()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.task(taskID)
	if errors.Is(err, ErrNotMounted) {
		return nil
	}
	if err == nil {
		err = m.remove(name)
	}
	if err != nil {
		return fmt.Errorf("remove secret %s of task %s: %w", target, taskID, err)
	}
	return nil
}

func (m *memoryFS) remove(name string) error {
	// Out of sight in one step, then overwritten.
	gone := path.Join(stagingDir, rand.Text())
	err := m.root.Rename(name, gone)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = fs.WalkDir(m.root.FS(), gone, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return m.erase(path)
	})
	if err := errors.Join(err, m.root.RemoveAll(gone)); err != nil {
		return err
	}
	// Directories that only led to it; one that others need is not empty.
	for dir := path.Dir(name); dir != filesDir; dir = path.Dir(dir) {
		if m.root.Remove(dir) != nil {
			break
		}
	}
	return nil
}
