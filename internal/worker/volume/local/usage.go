package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// Usage returns the bytes allocated to the volume's files and directories, each
// hard-linked file once. What is mounted inside is not the volume's. Files may
// come and go meanwhile. Of a volume with a limit, its filesystem knows.
func (d *Driver) Usage(ctx context.Context, v volume.Volume) (volume.Usage, error) {
	p, err := d.open(v)
	if err != nil {
		return volume.Usage{}, err
	}
	defer p.Close()
	dir, err := p.measurable()
	if errors.Is(err, fs.ErrNotExist) {
		return volume.Usage{}, d.vanished(v)
	}
	if err != nil {
		return volume.Usage{}, err
	}
	defer dir.Close()
	if p.sized && p.marker.ID == v.ID {
		return p.measureFilesystem(dir)
	}
	bytes, err := idly(func() (uint64, error) {
		w := walker{ctx: ctx, linked: map[inode]struct{}{}}
		err := w.count(dir, 0)
		return w.bytes, err
	})
	return volume.Usage{Bytes: bytes}, err
}

// measurable opens what there is to measure: the volume's directory, or what
// lies in the trash of it, a directory or an image.
func (p *placed) measurable() (*os.File, error) {
	top, err := p.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	if p.marker.ID == p.id {
		return p.dir()
	}
	return openat(top, p.trash(), 0, unix.RESOLVE_NO_XDEV)
}

// idly runs f on a thread of the lowest priority for processor and disk, which
// ends with it.
func idly(f func() (uint64, error)) (bytes uint64, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the runtime throws the thread away.
		runtime.LockOSThread()
		const ioprioWhoProcess, ioprioIdle = 1, 3 << 13
		// Both are hints; without them the walk is only less polite.
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioIdle)
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 19)
		bytes, err = f()
	}()
	<-done
	return bytes, err
}

type inode struct{ dev, ino uint64 }

// maxWalk bounds the directories that are open at once, or a program could use
// up the node's file descriptors; what lies deeper is not counted.
const maxWalk = 256

type walker struct {
	ctx context.Context
	// Files with several links that were counted.
	linked map[inode]struct{}
	bytes  uint64
}

// count adds up a directory and everything below it.
func (w *walker) count(dir *os.File, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir.Name(), Err: err}
	}
	w.bytes += uint64(st.Blocks) * 512
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if err := w.add(dir, name, depth); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			// A directory that was removed while it was read ends here too.
			return nil
		}
	}
}

func (w *walker) add(dir *os.File, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return vanished(err, dir, name)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		w.file(&st)
		return nil
	}
	if depth == maxWalk {
		return nil
	}
	sub, err := openBeneath(dir, name, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return vanished(errors.Unwrap(err), dir, name)
	}
	defer sub.Close()
	return w.count(sub, depth+1)
}

func (w *walker) file(st *unix.Stat_t) {
	if st.Nlink > 1 {
		key := inode{uint64(st.Dev), st.Ino}
		if _, counted := w.linked[key]; counted {
			return
		}
		w.linked[key] = struct{}{}
	}
	w.bytes += uint64(st.Blocks) * 512
}

// vanished drops the errors of what was removed, replaced or mounted on while
// the volume was read.
func vanished(err error, dir *os.File, name string) error {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.ESTALE:
		return nil
	}
	return &fs.PathError{Op: "measure", Path: dir.Name() + "/" + name, Err: err}
}
