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
	gonePrefix  = ".gone-"
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
		if err := p.takeAway(ctx); err != nil {
			return err
		}
	case "":
		// Whatever has no marker was not proven to be this volume's. An empty
		// directory may be what Create was about to mark when it was killed.
		if err := p.removeUnmarked(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Info("directory without a marker left alone", "volume", v.Name, "id", v.ID, "path", d.Path(v), "error", err)
		}
	}
	if err := p.leaveTrash(ctx); err != nil {
		return err
	}
	return p.removeBeside(ctx, stagePrefix, fullPrefix, gonePrefix)
}

// removeUnmarked removes what Create made before it was killed.
func (p *placed) removeUnmarked(ctx context.Context) error {
	if !p.sized {
		return p.root.Remove(p.rel)
	}
	if err := p.unmount(ctx); err != nil {
		return err
	}
	for _, image := range []string{p.draft(), p.image()} {
		if err := p.root.Remove(image); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// takeAway renames the volume's data and removes its marker.
func (p *placed) takeAway(ctx context.Context) error {
	if err := p.letGo(ctx); err != nil {
		return err
	}
	there, err := p.has()
	if err != nil {
		return err
	}
	if there {
		if err := p.rid(ctx, p.content()); err != nil {
			return err
		}
	}
	return removeMarker(p.root, p.rel)
}

// leaveTrash does the same with what is in the trash of the volume.
func (p *placed) leaveTrash(ctx context.Context) error {
	there, err := p.inTrash()
	if err != nil {
		return err
	}
	if there {
		if err := p.rid(ctx, p.trash()); err != nil {
			return err
		}
	}
	return removeMarker(p.root, p.trash())
}

// rid gives the volume's data at that place the name under which it is removed.
func (p *placed) rid(ctx context.Context, at string) error {
	// Of a deletion before a restore of this volume.
	if err := p.removeBeside(ctx, gonePrefix); err != nil {
		return err
	}
	if err := p.root.Rename(at, gonePrefix+p.id); err != nil {
		return err
	}
	return p.sync(".")
}

// letGo makes sure that nobody uses the volume's data any more, and refuses
// while anything is mounted in it, or has it mounted.
func (p *placed) letGo(ctx context.Context) error {
	if p.sized {
		return p.unmount(ctx)
	}
	there, err := p.exists()
	if err != nil || !there {
		return err
	}
	mount, err := findMount(p.path)
	if err != nil {
		return err
	}
	if mount != "" {
		return fmt.Errorf("%w: %s", volume.ErrBusy, mount)
	}
	return nil
}

// removeBeside removes what is in the volume's area with those prefixes.
func (p *placed) removeBeside(ctx context.Context, prefixes ...string) error {
	top, err := p.area.Open(".")
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
		if strings.HasPrefix(name, gonePrefix) {
			failed = append(failed, removeTree(ctx, top, name))
		}
	}
	return errors.Join(failed...)
}
