package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// layoutVersion counts the layouts of the data directory. A Warren refuses a
// directory of a later one instead of guessing.
const layoutVersion = 1

// Settings is what a node remembers of how it was set up, in node.json. Its
// presence is what says that the node is initialised.
type Settings struct {
	Version       int    `json:"version"`
	ClusterID     string `json:"cluster_id"`
	NodeID        string `json:"node_id"`
	NodeName      string `json:"node_name"`
	Manager       bool   `json:"manager"`
	Worker        bool   `json:"worker"`
	RunDir        string `json:"run_dir"`
	ListenAddr    string `json:"listen_addr"`
	AdvertiseAddr string `json:"advertise_addr,omitempty"`
	MetricsAddr   string `json:"metrics_addr"`
	Containerd    string `json:"containerd,omitempty"`
	NetworkSubnet string `json:"network_subnet,omitempty"`
	// Managers are where others were heard to be managers, host:port.
	Managers []string `json:"managers,omitempty"`
}

// errNotInitialised is returned for a data directory without node.json.
var errNotInitialised = errors.New("not initialised")

func loadSettings(l Layout) (Settings, error) {
	text, err := os.ReadFile(l.settings())
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, errNotInitialised
	}
	if err != nil {
		return Settings{}, err
	}
	var s Settings
	if err := json.Unmarshal(text, &s); err != nil {
		return Settings{}, fmt.Errorf("%s is damaged (%w); restore it from a backup of the data directory", l.settings(), err)
	}
	if s.Version > layoutVersion {
		return Settings{}, fmt.Errorf("%s was written by a newer Warren (layout %d, this one knows %d); start it with that version or a later one",
			l.Data, s.Version, layoutVersion)
	}
	return s, nil
}

func (s Settings) save(l Layout) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(l.settings(), append(text, '\n'), 0o600)
}

// writeFile replaces path by rename, so that a crash leaves the old content or
// the new one, and returns once either is on the disk.
func writeFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// directories makes the places that exist from the first start on. The data
// directory may be passed through, so that the guide's df and stat work, but
// not listed.
func directories(l Layout) error {
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{
		{l.Data, 0o711}, {l.state(), 0o700}, {l.keys(), 0o700}, {l.identity(), 0o700},
		{l.volumes(), 0o755}, {l.Run, 0o711},
	} {
		err := os.MkdirAll(d.path, d.mode)
		if err == nil {
			err = os.Chmod(d.path, d.mode)
		}
		if err != nil {
			return fmt.Errorf("%w; choose a writable place with --data-dir and --run-dir", err)
		}
	}
	return nil
}

// lock keeps a second process out of the data directory for as long as this
// one lives, however it ends.
func lock(l Layout) (*os.File, error) {
	f, err := os.OpenFile(l.lock(), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; choose a writable place with --data-dir", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another warren is running on %s; stop it first, or choose another --data-dir", l.Data)
	}
	return f, nil
}
