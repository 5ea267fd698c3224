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

// File says where a secret goes and whose it is. One of several values is a
// directory there, with a file for each.
type File struct {
	// Target is the secret's path below /run/secrets.
	Target string
	// Mode of its files is DefaultMode when 0; a directory is open to all.
	Mode fs.FileMode
	// UID and GID are the container's, root when 0.
	UID, GID int
}

// Value is what a secret holds, or one of its several values.
type Value struct {
	// Key names the file of one of several values, else it is empty.
	Key string
	*seal.Plaintext
}

func (f File) path() (string, error) {
	if !fs.ValidPath(f.Target) || f.Target == "." {
		return "", fmt.Errorf("secret target %q is not a path below /run/secrets", f.Target)
	}
	return path.Join(filesDir, f.Target), nil
}

// Write puts a secret where the task's container sees it, exactly its bytes.
// What is there is replaced in one step, several files together: a reader sees
// the old value or the new one, and never some files of each. ErrFull when it
// does not fit; what is there is then untouched.
func (f *FS) Write(taskID string, file File, values ...Value) error {
	name, err := file.path()
	if err != nil {
		return err
	}
	if err := checkKeys(values); err != nil {
		return fmt.Errorf("secret %s of task %s: %w", file.Target, taskID, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.task(taskID)
	if err == nil {
		err = m.write(name, file, values)
	}
	if err != nil {
		return fmt.Errorf("write secret %s of task %s: %w", file.Target, taskID, err)
	}
	return nil
}

// checkKeys accepts one value without a key, or any number with one each.
func checkKeys(values []Value) error {
	if len(values) == 1 && values[0].Key == "" {
		return nil
	}
	seen := map[string]bool{}
	for _, v := range values {
		if !validName(v.Key) || seen[v.Key] {
			return fmt.Errorf("key %q is not the name of one file", v.Key)
		}
		seen[v.Key] = true
	}
	if len(values) == 0 {
		return errors.New("it has no value")
	}
	return nil
}

func (m *memoryFS) write(name string, file File, values []Value) error {
	var size uint64
	for _, v := range values {
		size += pages(uint64(v.Len()))
	}
	if err := m.fits(size); err != nil {
		return err
	}
	if err := m.mkdirAll(path.Dir(name)); err != nil {
		return err
	}
	staged := path.Join(stagingDir, rand.Text())
	err := m.stageAll(staged, file, values)
	if err == nil {
		err = m.replace(staged, name)
	}
	if err != nil {
		// What was staged of it is a piece of the value.
		err = errors.Join(err, m.eraseAll(staged))
	}
	if errors.Is(err, unix.ENOSPC) {
		return ErrFull
	}
	return err
}

// stageAll makes the file, or the directory of several.
func (m *memoryFS) stageAll(name string, file File, values []Value) error {
	if values[0].Key == "" {
		return m.stage(name, file, values[0].Plaintext)
	}
	if err := m.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	for _, v := range values {
		if err := m.stage(path.Join(name, v.Key), file, v.Plaintext); err != nil {
			return err
		}
	}
	return m.root.Chmod(name, dirMode)
}

// replace puts what was staged in the place of what there is, in one step. The
// old bytes are not overwritten: somebody may be reading them.
func (m *memoryFS) replace(staged, name string) error {
	old, err := m.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return m.root.Rename(staged, name)
	} else if err != nil {
		return err
	}
	fresh, err := m.root.Lstat(staged)
	if err != nil {
		return err
	}
	if old.Mode().IsRegular() && fresh.Mode().IsRegular() {
		return m.root.Rename(staged, name)
	}
	if err := m.exchange(staged, name); err != nil {
		return err
	}
	return m.root.RemoveAll(staged)
}

// exchange lets two paths change places. Where the kernel cannot do it in one
// step (ramfs before Linux 5.16), nothing is there for a moment.
func (m *memoryFS) exchange(a, b string) error {
	dir, err := m.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Renameat2(int(dir.Fd()), a, int(dir.Fd()), b, unix.RENAME_EXCHANGE)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	aside := path.Join(stagingDir, rand.Text())
	if err := m.root.Rename(b, aside); err != nil {
		return err
	}
	if err := m.root.Rename(a, b); err != nil {
		return errors.Join(err, m.root.Rename(aside, b))
	}
	return m.root.Rename(aside, a)
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

// eraseAll removes what is at the path and overwrites its files. It need not
// exist.
func (m *memoryFS) eraseAll(name string) error {
	err := fs.WalkDir(m.root.FS(), name, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return m.erase(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, m.root.RemoveAll(name))
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
	if err := m.eraseAll(gone); err != nil {
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
