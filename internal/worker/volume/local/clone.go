package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// createCopy makes a new volume with the content of a snapshot. Killed at any
// moment, the next call starts over or finds it there.
func (p *placed) createCopy(ctx context.Context, source string) error {
	if !validID.MatchString(source) {
		return fmt.Errorf("%q is no snapshot's ID", source)
	}
	there, err := p.has()
	if err != nil {
		return err
	}
	switch {
	case p.marker.ID == p.id && !p.marker.Cloning:
		return nil
	case there && p.marker.ID == "" && !p.sized:
		return fmt.Errorf("%w: there is a directory at %s already; move it away", volume.ErrBusy, p.path)
	case there:
		return p.mark(marker{ID: p.id, Populated: true})
	}
	if err := p.mark(marker{ID: p.id, Cloning: true}); err != nil {
		return err
	}
	if p.sized {
		err = p.makeImage(ctx, func(data *os.File) error { return copySnapshot(ctx, p.root, source, data) })
	} else {
		err = p.makeCopy(ctx, source)
	}
	if err != nil {
		return errors.Join(err, p.removeBeside(context.WithoutCancel(ctx), stagePrefix), removeMarker(p.root, p.rel))
	}
	return p.mark(marker{ID: p.id, Populated: true})
}

// makeCopy makes the volume's directory by a rename.
func (p *placed) makeCopy(ctx context.Context, source string) error {
	if err := p.makeParent(); err != nil {
		return err
	}
	if err := p.removeBeside(ctx, stagePrefix); err != nil {
		return err
	}
	name := stagePrefix + p.id
	for _, dir := range []string{name, path.Join(name, copyName)} {
		if err := p.root.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	to, err := p.beside(path.Join(name, copyName))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := copySnapshot(ctx, p.root, source, to); err != nil {
		return err
	}
	if err := unix.Syncfs(int(to.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: to.Name(), Err: err}
	}
	top, err := p.root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	fd := int(top.Fd())
	if err := unix.Renameat2(fd, path.Join(name, copyName), fd, p.rel, unix.RENAME_NOREPLACE); err != nil {
		return &fs.PathError{Op: "rename", Path: p.path, Err: err}
	}
	if err := p.sync(path.Dir(p.rel)); err != nil {
		return err
	}
	return p.removeBeside(ctx, stagePrefix)
}
