package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// trashDir holds deleted volumes by their IDs, and below metaDir their markers,
// until they are taken back or removed for good.
const trashDir = ".trash"

// trash is where the volume's data is while it is in the trash.
func (p *placed) trash() string { return path.Join(trashDir, p.id) }

func (p *placed) inTrash() (bool, error) {
	_, err := p.root.Lstat(p.trash())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Trash moves the volume's data away by one rename. It refuses while anything
// is mounted in the volume, or has it mounted.
func (d *Driver) Trash(ctx context.Context, v volume.Volume) error {
	p, err := d.open(v)
	if err != nil {
		return err
	}
	defer p.Close()
	there, err := p.inTrash()
	if err != nil {
		return err
	}
	if p.marker.ID != v.ID {
		if there {
			return nil
		}
		return d.vanished(v)
	}
	if !there {
		if err := p.finishPopulate(); err != nil {
			return err
		}
		if err := p.moveToTrash(ctx); errors.Is(err, fs.ErrNotExist) {
			return d.vanished(v)
		} else if err != nil {
			return err
		}
	}
	return removeMarker(p.root, p.rel)
}

// moveToTrash writes the marker first: killed before the rename, the volume is
// still where it was, and after it, it is found in the trash.
func (p *placed) moveToTrash(ctx context.Context) error {
	if err := p.letGo(ctx); err != nil {
		return err
	}
	if err := writeMarker(p.root, p.trash(), p.marker); err != nil {
		return err
	}
	if err := p.root.MkdirAll(trashDir, 0o700); err != nil {
		return err
	}
	if err := p.root.Rename(p.content(), p.trash()); err != nil {
		return err
	}
	return errors.Join(p.sync(path.Dir(p.content())), p.sync(trashDir))
}

// Untrash moves the data back, under the name that the volume has now.
func (d *Driver) Untrash(_ context.Context, v volume.Volume) error {
	p, err := d.open(v)
	if err != nil {
		return err
	}
	defer p.Close()
	if there, err := p.inTrash(); err != nil || !there {
		return err
	}
	m, err := readMarker(p.root, p.trash())
	if err != nil {
		return err
	}
	// Of a move to the trash that was cut off, or a way back that was.
	if p.marker.ID != "" && p.marker.ID != v.ID {
		return fmt.Errorf("%w: %s holds the data of another volume, %s", volume.ErrBusy, p.path, p.marker.ID)
	}
	if there, err := p.exists(); err != nil {
		return err
	} else if there && !p.sized {
		return fmt.Errorf("%w: there is a directory at %s, where the volume was; move it away", volume.ErrBusy, p.path)
	}
	return p.moveBack(m)
}

// moveBack writes the marker first, as Create does not have to: what is marked
// and in the trash is on its way back.
func (p *placed) moveBack(m marker) error {
	if err := p.mark(marker{ID: p.id, Populated: m.Populated}); err != nil {
		return err
	}
	if err := p.makeParent(); err != nil {
		return err
	}
	top, err := p.root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	// A directory that appeared meanwhile is never replaced.
	err = unix.Renameat2(int(top.Fd()), p.trash(), int(top.Fd()), p.content(), unix.RENAME_NOREPLACE)
	if err != nil {
		return &fs.PathError{Op: "move back", Path: p.path, Err: err}
	}
	if err := errors.Join(p.sync(path.Dir(p.content())), p.sync(trashDir)); err != nil {
		return err
	}
	return removeMarker(p.root, p.trash())
}
