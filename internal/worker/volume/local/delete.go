package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cuemby/warren/internal/worker/volume"
)

// Names of directories in the root that belong to one volume, before its ID.
const (
	stagePrefix = ".stage-"
	fullPrefix  = ".full-"
	trashPrefix = ".trash-"
)

// Delete takes the volume's directory out of the way by one rename, so that a
// new volume of the name can be made at once, and then removes it. Called again
// after a crash it goes on. It refuses while anything is mounted in the volume,
// or has it mounted.
func (d *Driver) Delete(ctx context.Context, v volume.Volume) error {
	p, err := d.open(v)
	if err != nil {
		return err
	}
	defer p.Close()
	switch p.marker.ID {
	case v.ID:
		if err := p.toTrash(ctx); err != nil {
			return err
		}
	case "":
		// Whatever has no marker was not proven to be this volume's. An empty
		// directory may be what Create was about to mark when it was killed.
		if err := p.root.Remove(p.rel); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Info("directory without a marker left alone", "volume", v.Name, "id", v.ID, "path", d.Path(v), "error", err)
		}
	}
	return p.removeBeside(ctx, stagePrefix, fullPrefix, trashPrefix)
}

// toTrash renames the volume's directory and removes its marker.
func (p *placed) toTrash(ctx context.Context) error {
	there, err := p.exists()
	if err != nil {
		return err
	}
	if there {
		mount, err := findMount(p.path)
		if err != nil {
			return err
		}
		if mount != "" {
			return fmt.Errorf("%w: %s", volume.ErrBusy, mount)
		}
		// Of a deletion before a restore of this volume.
		if err := p.removeBeside(ctx, trashPrefix); err != nil {
			return err
		}
		if err := p.root.Rename(p.rel, trashPrefix+p.id); err != nil {
			return err
		}
		if err := p.sync("."); err != nil {
			return err
		}
	}
	return removeMarker(p.root, p.rel)
}

// removeBeside removes this volume's directories of those prefixes.
func (p *placed) removeBeside(ctx context.Context, prefixes ...string) error {
	top, err := p.root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	for _, prefix := range prefixes {
		if err := removeTree(ctx, top, prefix+p.id); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes what deletions and copies that were interrupted left behind.
// It may take long, and runs beside all other calls. Call it once at start.
func (d *Driver) Sweep(ctx context.Context) error {
	top, err := os.Open(d.root)
	if err != nil {
		return err
	}
	defer top.Close()
	names, err := top.Readdirnames(-1)
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		// A copy that was not finished is removed by whoever starts it anew:
		// one that begins now must not be swept away.
		if strings.HasPrefix(name, trashPrefix) {
			failed = append(failed, removeTree(ctx, top, name))
		}
	}
	return errors.Join(failed...)
}
