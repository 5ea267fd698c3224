package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// restoredPrefix is of a directory that is to become a volume's.
const restoredPrefix = ".restored-"

// Restore prepares the snapshot's content beside the volume, then exchanges the
// two. What the volume had becomes a snapshot itself: of a directory by a
// rename, of an image's content by a copy. The marker says which restore was
// the last, so that none is done twice.
func (d *Driver) Restore(ctx context.Context, v volume.Volume, r volume.Restore) error {
	for _, id := range []string{r.ID, r.Snapshot, r.Keep} {
		if !validID.MatchString(id) {
			return fmt.Errorf("%q is no ID", id)
		}
	}
	p, err := d.open(v)
	if err != nil {
		return err
	}
	defer p.Close()
	switch there, err := p.has(); {
	case err != nil:
		return err
	case !there:
		return d.vanished(v)
	case p.marker.ID != v.ID:
		return fmt.Errorf("%w: %s is not the volume's", volume.ErrNotFound, p.path)
	case p.marker.Restored == r.ID:
		return p.forgetRestored(ctx)
	}
	if p.sized {
		return d.restoreImage(ctx, p, v, r)
	}
	return p.restoreDirectory(ctx, r)
}

// restoreDirectory exchanges two directories. Which of them is the volume's,
// after a crash, tells the inode that was noted before.
func (p *placed) restoreDirectory(ctx context.Context, r volume.Restore) error {
	exchanged, err := p.exchanged(r)
	if err != nil {
		return err
	}
	if !exchanged {
		if err := p.letGo(ctx); err != nil {
			return err
		}
		if err := p.prepareRestored(ctx, r); err != nil {
			_ = p.removeBeside(context.WithoutCancel(ctx), restoredPrefix)
			return err
		}
		if err := p.exchange(); err != nil {
			return err
		}
	}
	if err := p.keepBefore(ctx, r.Keep); err != nil {
		return err
	}
	return p.restored(ctx, r)
}

// exchanged tells whether the volume has the restored directory already.
func (p *placed) exchanged(r volume.Restore) (bool, error) {
	if p.marker.Restoring == nil || p.marker.Restoring.ID != r.ID {
		return false, nil
	}
	dir, err := p.dir()
	if err != nil {
		return false, err
	}
	defer dir.Close()
	var st unix.Stat_t
	err = unix.Fstat(int(dir.Fd()), &st)
	return st.Ino == p.marker.Restoring.Inode, err
}

// prepareRestored copies the snapshot and notes which directory it is in.
func (p *placed) prepareRestored(ctx context.Context, r volume.Restore) error {
	if err := p.removeBeside(ctx, restoredPrefix); err != nil {
		return err
	}
	name := restoredPrefix + p.id
	if err := p.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	if err := p.root.Mkdir(path.Join(name, dataDir), 0o700); err != nil {
		return err
	}
	to, err := p.beside(path.Join(name, dataDir))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := copySnapshot(ctx, p.root, r.Snapshot, to); err != nil {
		return err
	}
	if err := unix.Syncfs(int(to.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: to.Name(), Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(to.Fd()), &st); err != nil {
		return err
	}
	m := p.marker
	m.Populated, m.Restoring = true, &restoring{ID: r.ID, Inode: st.Ino}
	return p.mark(m)
}

// copySnapshot copies what a snapshot shows into an empty directory.
func copySnapshot(ctx context.Context, root *os.Root, id string, to *os.File) error {
	from, err := openSnapshot(root, id)
	if err != nil {
		return err
	}
	defer from.Close()
	return copyTree(ctx, from, to)
}

func (p *placed) exchange() error {
	top, err := p.root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	fd := int(top.Fd())
	err = unix.Renameat2(fd, path.Join(restoredPrefix+p.id, dataDir), fd, p.rel, unix.RENAME_EXCHANGE)
	if err == unix.EBUSY || err == unix.EXDEV {
		return fmt.Errorf("%w: something is mounted on %s, and what a mount shows cannot be exchanged", volume.ErrBusy, p.path)
	}
	if err != nil {
		return &fs.PathError{Op: "exchange", Path: p.path, Err: err}
	}
	return errors.Join(p.sync(path.Dir(p.rel)), p.sync(restoredPrefix+p.id))
}

// keepBefore makes a snapshot of the directory that was the volume's.
func (p *placed) keepBefore(ctx context.Context, id string) error {
	if _, err := readInfo(p.root, id); err == nil || !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	before, err := p.beside(path.Join(restoredPrefix+p.id, dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p.finishKeeping(ctx, id)
	}
	if err != nil {
		return err
	}
	before.Close()
	if err := removeBelow(ctx, p.root, snapshotsDir, takingPrefix+id); err != nil {
		return err
	}
	if err := p.root.Mkdir(takingAt(id), 0o700); err != nil {
		return err
	}
	if err := p.root.Rename(path.Join(restoredPrefix+p.id, dataDir), path.Join(takingAt(id), dataDir)); err != nil {
		return err
	}
	return p.finishKeeping(ctx, id)
}

// finishKeeping completes that snapshot, once its data is in place.
func (p *placed) finishKeeping(ctx context.Context, id string) error {
	top, err := p.root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	dir, err := openBeneath(top, path.Join(takingAt(id), dataDir), unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer dir.Close()
	w := walker{ctx: ctx, linked: map[inode]struct{}{}}
	if err := w.count(dir, 0); err != nil {
		return err
	}
	return complete(p.root, id, volume.Snapshot{Bytes: w.bytes, Method: "rename", TakenAt: time.Now()})
}

// restored notes that a restore is over.
func (p *placed) restored(ctx context.Context, r volume.Restore) error {
	m := p.marker
	m.Populated, m.Restored, m.Restoring = true, r.ID, nil
	if err := p.mark(m); err != nil {
		return err
	}
	return p.forgetRestored(ctx)
}

func (p *placed) forgetRestored(ctx context.Context) error {
	return p.removeBeside(ctx, restoredPrefix)
}

// restoreImage makes a new image with the snapshot's content, copies what the
// present one holds, and replaces it.
func (d *Driver) restoreImage(ctx context.Context, p *placed, v volume.Volume, r volume.Restore) error {
	draft := path.Join(imagesDir, restoredPrefix+p.id)
	err := p.buildImage(ctx, draft, func(data *os.File) error { return copySnapshot(ctx, p.root, r.Snapshot, data) })
	if err != nil {
		return err
	}
	if err := d.keepContent(ctx, p, v, r.Keep); err != nil {
		return errors.Join(err, p.root.Remove(draft))
	}
	if err := p.unmount(ctx); err != nil {
		return errors.Join(err, p.root.Remove(draft), p.mount())
	}
	if err := errors.Join(p.root.Rename(draft, p.image()), p.sync(imagesDir)); err != nil {
		return errors.Join(err, p.mount())
	}
	if err := p.restored(ctx, r); err != nil {
		return err
	}
	return p.mount()
}

// keepContent takes a snapshot of a volume that nobody uses.
func (d *Driver) keepContent(ctx context.Context, p *placed, v volume.Volume, id string) error {
	if _, err := readInfo(p.root, id); err == nil || !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	if err := p.mount(); err != nil {
		return err
	}
	c, err := d.Capture(ctx, v, id)
	if err != nil {
		return err
	}
	if err := c.Take(ctx); err != nil {
		return errors.Join(err, c.Close())
	}
	_, err = c.Finish(ctx, volume.Snapshot{TakenAt: time.Now()})
	return errors.Join(err, c.Close())
}
