// Package secretfs keeps the secrets of running tasks in memory, as files that
// containers see under /run/secrets, and never on a disk or in swap.
//
// Each task has one memory filesystem of its own:
//
//	<root>/<task-id>/            tmpfs with noswap, or ramfs; 0700
//	    files/                   what the container has at /run/secrets
//	        <target>             a secret that is one file
//	        <target>/<key>       a secret of several
//	    staging/                 files on their way to files/
//
// Only files/ is bound into the container, read-only and as a directory, so a
// file that is replaced by rename, or removed, changes in the running
// container.
//
// No byte is ever written through a path that merely ought to be the memory
// filesystem: a task's filesystem is checked once, by type, options and mount,
// when it is opened, and everything goes through that handle. A crash between
// making the directory and mounting on it therefore leaves nothing to fall
// into.
package secretfs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

var (
	// ErrNotMounted is returned for a task that Mount was not called for.
	ErrNotMounted = errors.New("the task has no secret filesystem")
	// ErrFull is returned by Write when the value does not fit in what Mount
	// asked for.
	ErrFull = errors.New("the task's secret filesystem is full")

	errNoTaskID = errors.New("not a task ID")
)

// FS is the secret filesystems of one worker's tasks. It is safe for
// concurrent use; calls wait for one another, since all of them are short.
type FS struct {
	root  string
	kinds []kind
	log   *slog.Logger

	mu sync.Mutex
	// What is open, by task ID.
	open map[string]*memoryFS
}

// Open starts with the directory root, which is made if need be. The
// filesystems of tasks not named in live are wiped; those of live tasks stay
// as they are until Mount asks for them again.
func Open(root string, live []string, log *slog.Logger) (*FS, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make a place for secrets: %w", err)
	}
	// Other users of the machine stop here; containers come in by bind mount.
	if err := os.Chmod(root, 0o700); err != nil {
		return nil, fmt.Errorf("close the place for secrets to others: %w", err)
	}
	f := &FS{root: root, kinds: kinds, log: log, open: make(map[string]*memoryFS)}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("look for left over secrets: %w", err)
	}
	var problems []error
	for _, e := range entries {
		if slices.Contains(live, e.Name()) {
			continue
		}
		log.Info("wiping the secrets of a task that is gone", "task", e.Name())
		problems = append(problems, f.Wipe(e.Name()))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return f, nil
}

// Mount gives a task its memory filesystem, at most capacity bytes large (see
// Capacity), and returns the directory to bind to /run/secrets. A task that
// has one keeps it with what is in it, and it grows to hold as many bytes more:
// its secrets may all be replaced by larger ones.
func (f *FS) Mount(taskID string, capacity uint64) (dir string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.mount(taskID, capacity); err != nil {
		return "", fmt.Errorf("make a memory filesystem for the secrets of task %s: %w", taskID, err)
	}
	return filepath.Join(f.root, taskID, filesDir), nil
}

func (f *FS) mount(taskID string, capacity uint64) error {
	if !validName(taskID) {
		return errNoTaskID
	}
	path := filepath.Join(f.root, taskID)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	m, err := f.task(taskID)
	switch {
	case errors.Is(err, ErrNotMounted):
		if err := mountMemory(path, f.kinds, capacity); err != nil {
			return err
		}
		if m, err = f.task(taskID); err != nil {
			return err
		}
		m.capacity = capacity
	case err != nil:
		return err
	default:
		if err := m.grow(capacity); err != nil {
			return err
		}
	}
	return m.layOut()
}

// task returns the task's filesystem, that of before a restart too, or
// ErrNotMounted.
func (f *FS) task(taskID string) (*memoryFS, error) {
	if !validName(taskID) {
		return nil, errNoTaskID
	}
	if m := f.open[taskID]; m != nil {
		return m, nil
	}
	m, err := openMemory(filepath.Join(f.root, taskID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotMounted
	}
	if err != nil {
		return nil, err
	}
	f.open[taskID] = m
	return m, nil
}

// Wipe overwrites the task's secrets, unmounts their filesystem and removes
// its directory. Without one it does nothing. Its container must have stopped.
func (f *FS) Wipe(taskID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.wipe(taskID); err != nil {
		return fmt.Errorf("wipe the secrets of task %s: %w", taskID, err)
	}
	return nil
}

func (f *FS) wipe(taskID string) error {
	path := filepath.Join(f.root, taskID)
	// More than one when somebody mounted over it.
	for {
		m, err := f.task(taskID)
		if errors.Is(err, ErrNotMounted) {
			break
		}
		if err != nil {
			return err
		}
		err = m.wipe()
		m.close()
		delete(f.open, taskID)
		if err := errors.Join(err, unmount(path)); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: nothing of Warren's should be in it; look, and remove it by hand", err)
	}
	return nil
}

// Close lets go of the filesystems and leaves them to the running containers.
func (f *FS) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.open {
		m.close()
	}
	clear(f.open)
}

// validName accepts one element of a path.
func validName(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsAny(name, "/\x00")
}
