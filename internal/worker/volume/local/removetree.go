package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// removeTree removes what has the name in parent, with everything below it,
// which may be what a hostile program left: it follows no symbolic link and
// crosses no mount, and neither depth nor the length of paths stop it. What is
// gone already is no error.
func removeTree(ctx context.Context, parent *os.File, name string) error {
	if err := unix.Unlinkat(int(parent.Fd()), name, 0); err != unix.EISDIR {
		return gone(err, parent.Name()+"/"+name)
	}
	top, err := openBeneath(parent, name, unix.RESOLVE_NO_XDEV)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refuseMount(err)
	}
	defer top.Close()
	r := &remover{ctx: ctx, top: top}
	for {
		r.lifted = 0
		if err := r.empty(top, 0); err != nil {
			return err
		}
		if r.lifted == 0 {
			break
		}
	}
	return gone(unix.Unlinkat(int(parent.Fd()), name, unix.AT_REMOVEDIR), top.Name())
}

// maxDepth bounds the directories that are open at once.
const maxDepth = 64

type remover struct {
	ctx context.Context
	top *os.File
	// Directories that lay too deep and were moved up into top, in this pass.
	lifted int
}

// empty removes all entries of a directory that is depth below top, of which
// it removes as much as it can.
func (r *remover) empty(dir *os.File, depth int) error {
	if _, err := dir.Seek(0, 0); err != nil {
		return err
	}
	var failed error
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if err := r.remove(dir, name, depth); err != nil && failed == nil {
				failed = err
			}
		}
		if err != nil || len(names) == 0 {
			return failed
		}
	}
}

func (r *remover) remove(dir *os.File, name string, depth int) error {
	path := dir.Name() + "/" + name
	err := unix.Unlinkat(int(dir.Fd()), name, 0)
	if err != unix.EISDIR {
		return gone(err, path)
	}
	if depth >= maxDepth {
		return r.lift(dir, name, path)
	}
	sub, err := openBeneath(dir, name, unix.RESOLVE_NO_XDEV)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refuseMount(err)
	}
	defer sub.Close()
	if err := r.empty(sub, depth+1); err != nil {
		return err
	}
	return gone(unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR), path)
}

// lift moves a directory up into top, where the next pass empties it.
func (r *remover) lift(dir *os.File, name, path string) error {
	for {
		r.lifted++
		to := fmt.Sprintf("%slifted-%d", gonePrefix, r.lifted)
		err := unix.Renameat2(int(dir.Fd()), name, int(r.top.Fd()), to, unix.RENAME_NOREPLACE)
		if err != unix.EEXIST {
			return gone(err, path)
		}
	}
}

func gone(err error, path string) error {
	switch err {
	case nil, unix.ENOENT:
		return nil
	case unix.EBUSY, unix.EXDEV:
		return fmt.Errorf("%w: %s is a mount point", volume.ErrBusy, path)
	}
	return &fs.PathError{Op: "remove", Path: path, Err: err}
}

func refuseMount(err error) error {
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("%w: a mount point lies in it: %w", volume.ErrBusy, err)
	}
	return err
}
