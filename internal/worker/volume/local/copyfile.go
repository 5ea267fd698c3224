package local

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyChunk is how much is copied between looks at the context.
const copyChunk = 8 << 20

// copyFile makes name in to a copy of name in from: sharing its blocks where
// the filesystem can, else copying its data and leaving its holes.
func copyFile(ctx context.Context, from, to *os.File, name string, st *unix.Stat_t) error {
	source, err := openat(from, name, unix.O_NONBLOCK, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer source.Close()
	fd, err := unix.Openat(int(to.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	target := os.NewFile(uintptr(fd), to.Name()+"/"+name)
	defer target.Close()
	if unix.IoctlFileClone(fd, int(source.Fd())) != nil {
		if err := copyData(ctx, source, target, st.Size); err != nil {
			return err
		}
	}
	if err := copyAttributes(source, target, st); err != nil {
		return err
	}
	return target.Close()
}

// copyData copies what is between holes, and sets the size.
func copyData(ctx context.Context, from, to *os.File, size int64) error {
	for end := int64(0); end < size; {
		start, err := unix.Seek(int(from.Fd()), end, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		if err == unix.EINVAL || err == unix.EOPNOTSUPP {
			start, end = end, size
		} else if err != nil {
			return err
		} else if end, err = unix.Seek(int(from.Fd()), start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := copyExtent(ctx, from, to, start, end); err != nil {
			return err
		}
	}
	return to.Truncate(size)
}

// copyExtent copies the bytes from start to end, inside the kernel if it can.
func copyExtent(ctx context.Context, from, to *os.File, start, end int64) error {
	for start < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		length := min(end-start, copyChunk)
		roff, woff := start, start
		n, err := unix.CopyFileRange(int(from.Fd()), &roff, int(to.Fd()), &woff, int(length), 0)
		switch err {
		case nil:
		case unix.EINTR:
			continue
		case unix.EXDEV, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM:
			if n, err = readWrite(from, to, start, length); err != nil {
				return err
			}
		default:
			return err
		}
		if n == 0 {
			// The file was shorter than its size said.
			return nil
		}
		start += int64(n)
	}
	return nil
}

func readWrite(from, to *os.File, offset, length int64) (int, error) {
	buffer := make([]byte, min(length, 256<<10))
	n, err := from.ReadAt(buffer, offset)
	if n == 0 && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return to.WriteAt(buffer[:n], offset)
}
