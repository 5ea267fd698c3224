package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// The copy of the source lies one below the stage directory, which keeps
// everybody out while the copy already has the modes it is to have.
const copyName = "copy"

// Populate copies source beside the volume, makes the copy durable, renames it
// to say that it is complete, and only then moves what is in it into the
// volume. Killed before that rename, the volume is still new and empty; after
// it, the next Stage moves the rest. The volume keeps its directory, which a
// container may have mounted already.
func (d *Driver) Populate(ctx context.Context, v volume.Volume, source string) error {
	p, err := d.open(v)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.marker.ID != v.ID {
		return fmt.Errorf("%w: %s has no data on this node", volume.ErrNotFound, v.Name)
	}
	if p.sized && !p.marker.Populated {
		if err := p.enter(); err != nil {
			return err
		}
	}
	if err := p.finishPopulate(); err != nil || p.marker.Populated {
		return err
	}
	from, err := p.wants(source)
	if err != nil {
		return err
	}
	if from == nil {
		return p.mark(marker{ID: v.ID, Populated: true})
	}
	defer from.Close()
	if done, err := p.takeAttributes(from); done || err != nil {
		return err
	}
	if err := p.stage(ctx, from); err != nil {
		// What is left when this fails too is removed by the next attempt.
		_ = p.removeBeside(context.WithoutCancel(ctx), stagePrefix)
		return fmt.Errorf("copy %s: %w", source, err)
	}
	return p.finishPopulate()
}

// wants opens the source, or returns nil when there is nothing to do: the
// source is no directory, or the volume is not empty, or a mount point, whose
// content is its owner's affair.
func (p *placed) wants(source string) (*os.File, error) {
	top, err := p.area.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	dir, err := openBeneath(top, p.data, unix.RESOLVE_NO_XDEV)
	if errors.Is(err, unix.EXDEV) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its directory %s is gone", volume.ErrNotFound, p.path)
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if empty, err := isEmpty(dir); err != nil || !empty {
		return nil, err
	}
	from, err := os.OpenFile(source, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	return from, err
}

// takeAttributes is all there is to do for an empty source, which images of
// databases usually have: nothing needs to be staged and flushed for it.
func (p *placed) takeAttributes(from *os.File) (done bool, err error) {
	if empty, err := isEmpty(from); err != nil || !empty {
		return false, errors.Join(err, rewind(from))
	}
	if err := p.adopt(from); err != nil {
		return false, err
	}
	return true, p.mark(marker{ID: p.id, Populated: true})
}

func rewind(dir *os.File) error {
	_, err := dir.Seek(0, io.SeekStart)
	return err
}

// stage makes the complete and durable copy under its final name.
func (p *placed) stage(ctx context.Context, from *os.File) error {
	if err := p.removeBeside(ctx, stagePrefix); err != nil {
		return err
	}
	name := stagePrefix + p.id
	if err := p.area.Mkdir(name, 0o700); err != nil {
		return err
	}
	if err := p.area.Mkdir(path.Join(name, copyName), 0o700); err != nil {
		return err
	}
	to, err := p.beside(path.Join(name, copyName))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := copyTree(ctx, from, to); err != nil {
		return err
	}
	// One flush for all of it: syncing each of twenty thousand files is slow.
	if err := unix.Syncfs(int(to.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: to.Name(), Err: err}
	}
	if err := p.area.Rename(name, fullPrefix+p.id); err != nil {
		return err
	}
	return syncDir(p.area, ".")
}

// finishPopulate moves a complete copy into the volume, if there is one.
func (p *placed) finishPopulate() error {
	from, err := p.beside(path.Join(fullPrefix+p.id, copyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	if !p.marker.Populated {
		if err := p.adopt(from); err != nil {
			return fmt.Errorf("move what was copied into %s: %w", p.path, err)
		}
		if err := p.mark(marker{ID: p.id, Populated: true}); err != nil {
			return err
		}
	}
	return p.removeBeside(context.Background(), fullPrefix)
}

// adopt moves the entries of the copy into the volume and gives the volume the
// copy's owner and mode. What the volume has under a name already stays.
func (p *placed) adopt(from *os.File) error {
	to, err := p.dir()
	if err != nil {
		return err
	}
	defer to.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	names, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		err := unix.Renameat2(int(from.Fd()), name, int(to.Fd()), name, unix.RENAME_NOREPLACE)
		if err != nil && err != unix.EEXIST {
			return &fs.PathError{Op: "rename", Path: from.Name() + "/" + name, Err: err}
		}
	}
	if err := copyAttributes(from, to, &st); err != nil {
		return err
	}
	return to.Sync()
}
