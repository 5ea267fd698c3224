package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

const (
	// snapshotsDir holds the snapshots, by their IDs. Each has what it shows in
	// dataDir, and beside it what is known of it.
	snapshotsDir = ".snapshots"
	infoName     = "info.json"
	// takingPrefix is of a snapshot that is not complete.
	takingPrefix = ".taking-"
)

// snapshotAt is where a snapshot is below the root.
func snapshotAt(id string) string { return path.Join(snapshotsDir, id) }

func takingAt(id string) string { return path.Join(snapshotsDir, takingPrefix+id) }

// Snapshot reads what is known of a complete one.
func (d *Driver) Snapshot(_ context.Context, id string) (volume.Snapshot, error) {
	root, err := d.openRoot(id)
	if err != nil {
		return volume.Snapshot{}, err
	}
	defer root.Close()
	return readInfo(root, id)
}

// openRoot opens the root for what is done with a snapshot alone.
func (d *Driver) openRoot(id string) (*os.Root, error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("%q is no snapshot's ID", id)
	}
	return os.OpenRoot(d.root)
}

func readInfo(root *os.Root, id string) (volume.Snapshot, error) {
	b, err := root.ReadFile(path.Join(snapshotAt(id), infoName))
	if errors.Is(err, fs.ErrNotExist) {
		return volume.Snapshot{}, fmt.Errorf("%w: this node has no snapshot %s", volume.ErrNotFound, id)
	}
	if err != nil {
		return volume.Snapshot{}, err
	}
	return parseInfo(b)
}

func parseInfo(b []byte) (s volume.Snapshot, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return volume.Snapshot{}, fmt.Errorf("what is known of the snapshot is damaged: %w", err)
	}
	return s, nil
}

// complete gives a snapshot that was taken its final name, from which it is
// known that all of it is there.
func complete(root *os.Root, id string, s volume.Snapshot) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := writeSynced(root, path.Join(takingAt(id), infoName), b); err != nil {
		return err
	}
	if err := syncDir(root, takingAt(id)); err != nil {
		return err
	}
	if err := root.Rename(takingAt(id), snapshotAt(id)); err != nil {
		return err
	}
	return syncDir(root, snapshotsDir)
}

// openSnapshot opens what a snapshot shows.
func openSnapshot(root *os.Root, id string) (*os.File, error) {
	top, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	dir, err := openBeneath(top, path.Join(snapshotAt(id), dataDir), unix.RESOLVE_NO_XDEV)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: this node has no snapshot %s", volume.ErrNotFound, id)
	}
	return dir, err
}

// DeleteSnapshot takes it out of the way by a rename, then removes it.
func (d *Driver) DeleteSnapshot(ctx context.Context, id string) error {
	root, err := d.openRoot(id)
	if err != nil {
		return err
	}
	defer root.Close()
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	if err := removeTree(ctx, top, gonePrefix+id); err != nil {
		return err
	}
	err = root.Rename(snapshotAt(id), gonePrefix+id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(removeTree(ctx, top, gonePrefix+id), removeBelow(ctx, root, snapshotsDir, takingPrefix+id))
}

// removeBelow removes what has the name in a directory of the root.
func removeBelow(ctx context.Context, root *os.Root, dir, name string) error {
	parent, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	return removeTree(ctx, parent, name)
}
