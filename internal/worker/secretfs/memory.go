package secretfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const (
	filesDir   = "files"
	stagingDir = "staging"
)

// memoryFS is an open memory filesystem of one task. All access goes through
// root, which was checked to be one.
type memoryFS struct {
	root *os.Root
	// The kernel keeps it to its size.
	limited bool
	// Bytes that Mount asked for; 0 when it was not asked since the start.
	capacity uint64
}

func (m *memoryFS) close() { _ = m.root.Close() }

// layOut makes the two directories. Both modes let the container's user read
// and nobody but root write.
func (m *memoryFS) layOut() error {
	for dir, mode := range map[string]fs.FileMode{filesDir: dirMode, stagingDir: 0o700} {
		if err := m.root.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// Mkdir's mode is subject to the umask.
		if err := m.root.Chmod(dir, mode); err != nil {
			return err
		}
	}
	return nil
}

// wipe overwrites every file and empties the filesystem, so that containers
// which still have it mounted see nothing either.
func (m *memoryFS) wipe() error {
	var problems []error
	err := fs.WalkDir(m.root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			err = m.erase(path)
		}
		problems = append(problems, err)
		return nil
	})
	problems = append(problems, err)
	for _, dir := range []string{filesDir, stagingDir} {
		problems = append(problems, m.root.RemoveAll(dir))
	}
	return errors.Join(problems...)
}

// erase removes a file and overwrites its bytes in place: memory filesystems
// have no copies. Whoever still has it open reads zeros.
func (m *memoryFS) erase(path string) error {
	file, err := m.root.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := m.root.Remove(path); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, min(info.Size(), 1<<16))
	for left := info.Size(); left > 0; {
		n, err := file.Write(zeros[:min(left, int64(len(zeros)))])
		if err != nil {
			return fmt.Errorf("overwrite %s: %w", path, err)
		}
		left -= int64(n)
	}
	return nil
}

// used counts the bytes that the files take, in whole pages.
func (m *memoryFS) used() (total uint64, err error) {
	err = fs.WalkDir(m.root.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += pages(uint64(info.Size()))
		}
		return err
	})
	return total, err
}
