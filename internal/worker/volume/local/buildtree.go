package local

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// builder makes the tree of a snapshot of the names that were read and the
// files of the pool.
type builder struct {
	ctx  context.Context
	top  *os.File
	pool *pool
	// placed are the paths, below top, of files that are in the tree already,
	// by inode.
	placed map[inode]string
	// bytes that all of it takes.
	bytes uint64
}

func (b *builder) build(tree *branch) error {
	// Of a Finish that failed half way.
	if err := removeTree(b.ctx, b.top, dataDir); err != nil {
		return err
	}
	tree.name = dataDir
	return b.directory(b.top, tree, "")
}

// directory makes one with all that is in it; rel is the path of parent below
// top, with a slash behind it.
func (b *builder) directory(parent *os.File, d *branch, rel string) error {
	if err := unix.Mkdirat(int(parent.Fd()), d.name, 0o700); err != nil {
		return at(err, parent, d.name)
	}
	dir, err := openBeneath(parent, d.name, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer dir.Close()
	rel += d.name + "/"
	for _, e := range d.entries {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if err := b.entry(dir, e, rel); err != nil {
			return at(err, dir, e.name)
		}
	}
	b.bytes += uint64(d.st.Blocks) * 512
	return setAttributes(dir, d)
}

func (b *builder) entry(dir *os.File, e *branch, rel string) error {
	switch e.st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return b.directory(dir, e, rel)
	case unix.S_IFREG:
		return b.file(dir, e, rel)
	case unix.S_IFLNK:
		if err := unix.Symlinkat(e.target, int(dir.Fd()), e.name); err != nil {
			return err
		}
		return ownAndDate(dir, e.name, &e.st)
	}
	return copyNode(dir, e.name, &e.st)
}

// file moves a file from the pool to its first name, and links the others.
func (b *builder) file(dir *os.File, e *branch, rel string) error {
	if first, ok := b.placed[keyOf(&e.st)]; ok {
		return unix.Linkat(int(b.top.Fd()), first, int(dir.Fd()), e.name, 0)
	}
	if err := unix.Renameat(int(b.pool.dir.Fd()), poolFile(&e.st), int(dir.Fd()), e.name); err != nil {
		return err
	}
	b.placed[keyOf(&e.st)] = rel + e.name
	b.bytes += uint64(e.st.Blocks) * 512
	return nil
}

// setAttributes does for a directory what copyAttributes does, when the
// original is not what it was any more.
func setAttributes(dir *os.File, d *branch) error {
	fd := int(dir.Fd())
	if err := unix.Fchown(fd, int(d.st.Uid), int(d.st.Gid)); err != nil {
		return &os.PathError{Op: "chown", Path: dir.Name(), Err: err}
	}
	for _, x := range d.xattrs {
		if err := unix.Fsetxattr(fd, x.name, x.value, 0); err != nil && err != unix.EOPNOTSUPP {
			return &os.PathError{Op: "setxattr", Path: dir.Name(), Err: err}
		}
	}
	if err := unix.Fchmod(fd, d.st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: dir.Name(), Err: err}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(dir), times(&d.st), 0)
}

// errno is the number in an error of a system call; nil when there is none.
func errno(err error) error {
	if number, ok := errors.AsType[unix.Errno](err); ok {
		return number
	}
	return nil
}
