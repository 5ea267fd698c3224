package containerd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// DefaultSystemSocket is where ctr and others look for containerd.
const DefaultSystemSocket = "/run/containerd/containerd.sock"

// systemLink is the link at the system's socket, if it is ours.
type systemLink struct{ path, target string }

// linkSystemSocket links path to our API, unless another containerd owns it:
// a socket, or a link to a socket that answers.
func linkSystemSocket(path, target string) (systemLink, error) {
	if path == "" {
		path = DefaultSystemSocket
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return systemLink{}, err
	case info.Mode()&os.ModeSymlink == 0:
		return systemLink{}, fmt.Errorf("%s belongs to another containerd", path)
	default:
		if owner, _ := os.Readlink(path); owner != target && answers(path) {
			return systemLink{}, fmt.Errorf("%s belongs to the containerd at %s", path, owner)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return systemLink{}, err
	}
	temporary := fmt.Sprintf("%s.warren-%d", path, os.Getpid())
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return systemLink{}, err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return systemLink{}, err
	}
	return systemLink{path, target}, os.Rename(temporary, path)
}

func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// remove removes the link if it still leads to us.
func (l systemLink) remove() error {
	if l.path == "" {
		return nil
	}
	if target, err := os.Readlink(l.path); err != nil || target != l.target {
		return nil
	}
	return os.Remove(l.path)
}
