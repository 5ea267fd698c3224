package local

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// copyTree copies everything below from into the empty directory to, and gives
// to the attributes of from: owners, modes, times, extended attributes, hard
// and symbolic links, holes. Device nodes are left out, since whoever reaches
// the volume's directory on the host could use them. Nobody else writes to
// either tree; from may be on another filesystem.
func copyTree(ctx context.Context, from, to *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	c := &copier{ctx: ctx, top: to, links: map[inode]string{}}
	if err := c.entries(from, to, "", 0); err != nil {
		return err
	}
	return copyAttributes(from, to, &st)
}

type copier struct {
	ctx context.Context
	// Where the copy goes, and the paths in it of files with several links.
	top   *os.File
	links map[inode]string
}

// entries copies what is in from; rel is to's path below top, with a slash
// behind it.
func (c *copier) entries(from, to *os.File, rel string, depth int) error {
	if depth > maxWalk {
		return &fs.PathError{Op: "copy", Path: from.Name(), Err: unix.ENAMETOOLONG}
	}
	names, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(from, to, name, rel, depth); err != nil {
			return at(err, from, name)
		}
	}
	return nil
}

func (c *copier) entry(from, to *os.File, name, rel string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(from.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		key := inode{uint64(st.Dev), st.Ino}
		if first, ok := c.links[key]; ok {
			return unix.Linkat(int(c.top.Fd()), first, int(to.Fd()), name, 0)
		}
		c.links[key] = rel + name
	}
	switch kind {
	case unix.S_IFDIR:
		return c.directory(from, to, name, rel, depth, &st)
	case unix.S_IFREG:
		return copyFile(c.ctx, from, to, name, &st)
	case unix.S_IFLNK:
		return copySymlink(from, to, name, &st)
	case unix.S_IFIFO, unix.S_IFSOCK:
		return copyNode(to, name, &st)
	}
	delete(c.links, inode{uint64(st.Dev), st.Ino})
	return nil
}

func (c *copier) directory(from, to *os.File, name, rel string, depth int, st *unix.Stat_t) error {
	if err := unix.Mkdirat(int(to.Fd()), name, 0o700); err != nil {
		return err
	}
	source, err := openBeneath(from, name, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openBeneath(to, name, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := c.entries(source, target, rel+name+"/", depth+1); err != nil {
		return err
	}
	return copyAttributes(source, target, st)
}

func copySymlink(from, to *os.File, name string, st *unix.Stat_t) error {
	target, err := os.Readlink(procPath(from) + "/" + name)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(target, int(to.Fd()), name); err != nil {
		return err
	}
	return ownAndDate(to, name, st)
}

// copyNode makes a FIFO or a socket.
func copyNode(to *os.File, name string, st *unix.Stat_t) error {
	if err := unix.Mknodat(int(to.Fd()), name, st.Mode&unix.S_IFMT|0o600, 0); err != nil {
		return err
	}
	if err := ownAndDate(to, name, st); err != nil {
		return err
	}
	return unix.Fchmodat(int(to.Fd()), name, st.Mode&0o7777, 0)
}

// at adds the path to an error that has none.
func at(err error, dir *os.File, name string) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &fs.PathError{Op: "copy", Path: dir.Name() + "/" + name, Err: err}
}
