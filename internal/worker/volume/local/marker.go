package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

const metaDir = ".meta"

// marker says whose data a directory holds.
type marker struct {
	ID string `json:"id"`
	// Populated is set once Populate has had its one chance.
	Populated bool `json:"populated"`
	// Cloning is set while it is being made as a copy of a snapshot.
	Cloning bool `json:"cloning,omitempty"`
	// Restored is the ID of the last restore that is over.
	Restored string `json:"restored,omitempty"`
	// Restoring is set while one is under way.
	Restoring *restoring `json:"restoring,omitempty"`
}

// restoring is a restore that is about to exchange the volume's directory for
// the one with that inode.
type restoring struct {
	ID    string `json:"id"`
	Inode uint64 `json:"inode"`
}

func parseMarker(b []byte) (marker, error) {
	var m marker
	if err := json.Unmarshal(b, &m); err != nil {
		return marker{}, err
	}
	if m.ID == "" {
		return marker{}, errors.New("it names no volume")
	}
	return m, nil
}

func readMarker(root *os.Root, rel string) (marker, error) {
	name := path.Join(metaDir, rel)
	b, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return marker{}, nil
	}
	if err != nil {
		return marker{}, err
	}
	m, err := parseMarker(b)
	if err != nil {
		file := path.Join(root.Name(), name)
		return marker{}, fmt.Errorf("volume marker %s is damaged (%w); if the directory %s is the volume's, remove the marker",
			file, err, path.Join(root.Name(), rel))
	}
	return m, nil
}

// writeMarker replaces the marker; it is on the disk when this returns.
func writeMarker(root *os.Root, rel string, m marker) error {
	name := path.Join(metaDir, rel)
	dir, base := path.Split(name)
	if err := root.MkdirAll(path.Clean(dir), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	// No volume's name begins with a dot.
	temporary := path.Join(dir, "."+base)
	if err := writeSynced(root, temporary, b); err != nil {
		return err
	}
	if err := root.Rename(temporary, name); err != nil {
		return err
	}
	return syncDir(root, dir)
}

func writeSynced(root *os.Root, name string, b []byte) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func removeMarker(root *os.Root, rel string) error {
	name := path.Join(metaDir, rel)
	err := root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}
