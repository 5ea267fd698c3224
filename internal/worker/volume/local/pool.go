package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	poolName = "pool"
	// A file's change time has the granularity of the kernel's clock tick. One
	// that changed so shortly before it was looked at may change again and show
	// the same time.
	clockTick = 20 * time.Millisecond
)

// pool has copies of a volume's files, by inode.
type pool struct {
	dir   *os.File
	files map[inode]*pooled
	// flush has a file's changed pages written back, after which the next
	// change to any of them, mapped ones too, changes its ctime.
	flush func(fd int) error
	// reflinks, copies count files with data; copied counts their bytes.
	reflinks, copies int
	copied           uint64
	noClone          bool
}

// pooled is a file as it was just before it was copied.
type pooled struct {
	st unix.Stat_t
	// racy: a later change may not show.
	racy bool
}

func openPool(stage, source *os.File) (*pool, error) {
	dir, err := openBeneath(stage, poolName, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return nil, err
	}
	p := &pool{dir: dir, files: map[inode]*pooled{}, flush: unix.Fdatasync}
	var disk unix.Statfs_t
	if err := unix.Fstatfs(int(source.Fd()), &disk); err != nil {
		dir.Close()
		return nil, err
	}
	switch disk.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		// Without the flush of the disk's cache, which twenty thousand times
		// takes a minute: what counts is that the pages are clean.
		p.flush = func(fd int) error {
			return unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
		}
	}
	return p, nil
}

func (p *pool) Close() error { return p.dir.Close() }

func (p *pool) method() string {
	if p.reflinks > 0 && p.copies == 0 {
		return "reflink"
	}
	return "copy"
}

// keyOf has the device too: btrfs gives every subvolume inodes of its own.
func keyOf(st *unix.Stat_t) inode { return inode{uint64(st.Dev), st.Ino} }

func poolFile(st *unix.Stat_t) string { return fmt.Sprintf("%x-%d", st.Dev, st.Ino) }

// has brings the copy of a file up to date. The order is what makes it right:
// look at the file, write its changed pages back, copy. Whatever changes after
// the look changes the time that was seen, or is in the copy.
func (p *pool) has(ctx context.Context, dir *os.File, name string, st *unix.Stat_t) error {
	key := keyOf(st)
	if known := p.files[key]; known != nil {
		if !known.racy && known.st.Ctim == st.Ctim && known.st.Size == st.Size {
			return nil
		}
		delete(p.files, key)
		if err := unix.Unlinkat(int(p.dir.Fd()), poolFile(st), 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	source, err := openat(dir, name, unix.O_NONBLOCK|unix.O_NOATIME, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer source.Close()
	is := &pooled{}
	if err := unix.Fstat(int(source.Fd()), &is.st); err != nil {
		return err
	}
	if is.st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.ENOENT // exchanged since it was looked at
	}
	*st = is.st // of what is there now
	if is.racy, err = justChanged(&is.st); err != nil {
		return err
	}
	if err := p.copy(ctx, source, &is.st); err != nil {
		return err
	}
	p.files[keyOf(&is.st)] = is
	return nil
}

func justChanged(st *unix.Stat_t) (bool, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return false, err
	}
	return now.Nano()-st.Ctim.Nano() < clockTick.Nanoseconds(), nil
}

func (p *pool) copy(ctx context.Context, source *os.File, st *unix.Stat_t) error {
	name := poolFile(st)
	fd, err := unix.Openat(int(p.dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err == unix.EEXIST {
		// Of a file that was replaced by this one between a look and an opening.
		if err := unix.Unlinkat(int(p.dir.Fd()), name, 0); err != nil {
			return err
		}
		return p.copy(ctx, source, st)
	}
	if err != nil {
		return err
	}
	target := os.NewFile(uintptr(fd), p.dir.Name()+"/"+name)
	defer target.Close()
	if err := p.data(ctx, source, target, st); err != nil {
		return err
	}
	return copyAttributes(source, target, st)
}

func (p *pool) data(ctx context.Context, source, target *os.File, st *unix.Stat_t) error {
	if st.Size == 0 {
		return nil
	}
	p.copied += uint64(st.Blocks) * 512
	if !p.noClone {
		err := unix.IoctlFileClone(int(target.Fd()), int(source.Fd()))
		if err == nil {
			p.reflinks++
			return nil
		}
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return err
		}
		p.noClone = p.reflinks == 0 // else only this file cannot be shared
	}
	if err := p.flush(int(source.Fd())); err != nil {
		return err
	}
	p.copies++
	return copyData(ctx, source, target, st.Size)
}
