package local

import (
	"context"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// branch is something in a volume as it was at one instant.
type branch struct {
	name string
	st   unix.Stat_t
	// Of a directory: what is in it, and its extended attributes.
	entries []*branch
	xattrs  []xattr
	// Of a symbolic link.
	target string
}

// treeWalk reads the tree of a volume that others may be writing to, and has
// the data of its files copied to the pool. It follows no symbolic link and
// passes no mount. Device nodes are left out, as in copyTree.
type treeWalk struct {
	ctx  context.Context
	pool *pool
}

func (w *treeWalk) directory(dir *os.File, depth int) (*branch, error) {
	if depth > maxWalk {
		return nil, &fs.PathError{Op: "copy", Path: dir.Name(), Err: unix.ENAMETOOLONG}
	}
	b := &branch{}
	if err := unix.Fstat(int(dir.Fd()), &b.st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: dir.Name(), Err: err}
	}
	var err error
	if b.xattrs, err = readXattrs(int(dir.Fd())); err != nil {
		return nil, &fs.PathError{Op: "getxattr", Path: dir.Name(), Err: err}
	}
	for {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			entry, err := w.entry(dir, name, depth)
			if passing(err) {
				continue // it was removed, or exchanged, while it was read
			}
			if err != nil {
				return nil, at(err, dir, name)
			}
			if entry != nil {
				entry.name = name
				b.entries = append(b.entries, entry)
			}
		}
		if err == io.EOF || err == nil && len(names) == 0 || passing(err) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// entry reads one thing; nil for what no snapshot has.
func (w *treeWalk) entry(dir *os.File, name string, depth int) (*branch, error) {
	b := &branch{}
	if err := unix.Fstatat(int(dir.Fd()), name, &b.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	switch b.st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		sub, err := openBeneath(dir, name, unix.RESOLVE_NO_XDEV)
		if err != nil {
			return nil, err
		}
		defer sub.Close()
		return w.directory(sub, depth+1)
	case unix.S_IFREG:
		return b, w.pool.has(w.ctx, dir, name, &b.st)
	case unix.S_IFLNK:
		var err error
		b.target, err = os.Readlink(procPath(dir) + "/" + name)
		return b, err
	case unix.S_IFIFO, unix.S_IFSOCK:
		return b, nil
	}
	return nil, nil
}

// passing are the errors of what was removed, exchanged or mounted on between
// two looks at it.
func passing(err error) bool {
	for _, is := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.ESTALE} {
		if is == errno(err) {
			return true
		}
	}
	return false
}
