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

const (
	// What is left to copy is small enough for a pause, in bytes.
	smallRest = 4 << 20
	// Follow goes around so often at most.
	maxRounds = 6
)

// capture takes one snapshot. The data of files lies in a pool, each named
// after its inode, and is copied anew when the file has changed since. The tree
// of names is only read at the instant itself, so that renames, moved
// directories and further links are nothing special; it is built of the pool
// once the volume's tasks go on.
type capture struct {
	root   *os.Root
	p      *placed
	id     string
	source *os.File // the volume's directory
	stage  *os.File // what the snapshot is made in
	pool   *pool
	tree   *branch
	began  time.Time
}

// Capture makes room for a new snapshot and opens the volume.
func (d *Driver) Capture(ctx context.Context, v volume.Volume, id string) (volume.Capture, error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("%q is no snapshot's ID", id)
	}
	p, err := d.open(v)
	if err != nil {
		return nil, err
	}
	c := &capture{root: p.root, p: p, id: id, began: time.Now()}
	if err := c.open(ctx, v); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *capture) open(ctx context.Context, v volume.Volume) (err error) {
	if there, err := c.p.has(); err != nil {
		return err
	} else if !there || c.p.marker.ID != v.ID {
		return fmt.Errorf("%w: volume %s has no data on this node", volume.ErrNotFound, v.Name)
	}
	if c.p.sized {
		if mounted, err := c.p.mounted(); err != nil || !mounted {
			return errors.Join(err, fmt.Errorf("%w: %s is not mounted", volume.ErrNotFound, c.p.path))
		}
	}
	if c.source, err = c.p.dir(); err != nil {
		return err
	}
	if err := removeBelow(ctx, c.root, snapshotsDir, takingPrefix+c.id); err != nil {
		return err
	}
	for _, dir := range []string{takingAt(c.id), path.Join(takingAt(c.id), poolName)} {
		if err := c.root.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if c.stage, err = c.root.Open(takingAt(c.id)); err != nil {
		return err
	}
	c.pool, err = openPool(c.stage, c.source)
	return err
}

// Follow copies until what changed in a round is small, or not much less than
// in the round before: then only a pause helps.
func (c *capture) Follow(ctx context.Context) error {
	before := ^uint64(0)
	for range maxRounds {
		copied := c.pool.copied
		if err := c.round(ctx); err != nil {
			return err
		}
		rest := c.pool.copied - copied
		if rest <= smallRest || rest > before/2 {
			return nil
		}
		before = rest
	}
	return nil
}

// Take reads the tree as it is now.
func (c *capture) Take(ctx context.Context) error { return c.round(ctx) }

func (c *capture) round(ctx context.Context) error {
	dir, err := openBeneath(c.source, ".", 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	w := &treeWalk{ctx: ctx, pool: c.pool}
	c.tree, err = w.directory(dir, 0)
	return err
}

// Finish builds the tree, makes it durable, and gives it its name. A volume
// that was deleted or exchanged meanwhile has none.
func (c *capture) Finish(ctx context.Context, s volume.Snapshot) (volume.Snapshot, error) {
	if c.tree == nil {
		return s, errors.New("the snapshot was not taken")
	}
	b := &builder{ctx: ctx, top: c.stage, pool: c.pool, placed: map[inode]string{}}
	if err := b.build(c.tree); err != nil {
		return s, err
	}
	if err := removeTree(ctx, c.stage, poolName); err != nil {
		return s, err
	}
	if err := unix.Syncfs(int(c.stage.Fd())); err != nil {
		return s, &fs.PathError{Op: "sync", Path: c.stage.Name(), Err: err}
	}
	if err := c.stillThere(); err != nil {
		return s, err
	}
	s.Bytes, s.Method, s.Took = b.bytes, c.pool.method(), time.Since(c.began)
	return s, complete(c.root, c.id, s)
}

// stillThere makes sure that what was read is the volume still.
func (c *capture) stillThere() error {
	now, err := c.p.dir()
	if err != nil {
		return fmt.Errorf("%w: the volume was taken away while it was copied: %w", volume.ErrNotFound, err)
	}
	defer now.Close()
	var was, is unix.Stat_t
	if err := errors.Join(unix.Fstat(int(c.source.Fd()), &was), unix.Fstat(int(now.Fd()), &is)); err != nil {
		return err
	}
	if was.Ino != is.Ino || was.Dev != is.Dev {
		return fmt.Errorf("%w: the volume was exchanged while it was copied", volume.ErrNotFound)
	}
	return nil
}

// Close removes what was not finished.
func (c *capture) Close() error {
	for _, f := range []*os.File{c.source, c.stage} {
		if f != nil {
			f.Close()
		}
	}
	if c.pool != nil {
		c.pool.Close()
	}
	return errors.Join(removeBelow(context.Background(), c.root, snapshotsDir, takingPrefix+c.id), c.p.Close())
}
