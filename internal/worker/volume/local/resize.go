package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// Resize lets a volume's image grow, then the device, then the filesystem. Each
// is done again where it was done before, so that one which was cut off is
// finished by the next.
func (d *Driver) Resize(ctx context.Context, v volume.Volume) (limit uint64, err error) {
	if v.SizeBytes == 0 {
		return 0, volume.ErrUnsupported
	}
	p, err := d.open(v)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if p.marker.ID != v.ID {
		return 0, d.vanished(v)
	}
	if err := p.mount(); err != nil {
		return 0, err
	}
	image, err := p.openImage()
	if err != nil {
		return 0, err
	}
	defer image.Close()
	st, err := image.Stat()
	if err != nil {
		return 0, err
	}
	before := uint64(st.Size())
	if p.size > before {
		if err := p.reserve(image, p.size); err != nil {
			return before, errors.Join(err, image.Truncate(st.Size()))
		}
	}
	if err := p.grow(ctx, image, max(p.size, before)); err != nil {
		// The image may be shrunk to what the filesystem still is.
		return before, errors.Join(err, image.Truncate(st.Size()), p.tellDevice(image))
	}
	return max(p.size, before), nil
}

// tellDevice lets the image's device have the size of the image.
func (p *placed) tellDevice(image *os.File) error {
	device, err := attached(image)
	if err != nil || device == nil {
		return err
	}
	defer device.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("enlarge %s: %w", device.Name(), err)
	}
	return nil
}

// grow lets the filesystem have all of the image: while it is mounted, or, when
// this program may not do that and nobody uses the volume, while it is not.
func (p *placed) grow(ctx context.Context, image *os.File, size uint64) error {
	if err := p.tellDevice(image); err != nil {
		return err
	}
	kind, err := filesystemOf(image)
	if err != nil {
		return err
	}
	if kind == "ext4" {
		if is, err := sizeOfExt4(image); err != nil || is+is/1024 >= size {
			return err // else it would be refused where it may not grow
		}
	}
	dir, err := os.Open(p.path)
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	if err = unix.Fstatfs(int(dir.Fd()), &st); err == nil {
		blocks := size / uint64(st.Bsize)
		if kind == "xfs" {
			err = growXFS(dir, blocks)
		} else {
			err = growExt4(dir, blocks)
		}
	}
	dir.Close()
	if kind == "ext4" && errors.Is(err, unix.EPERM) {
		return p.growUnmounted(ctx)
	}
	if err != nil {
		return fmt.Errorf("let the filesystem of %s grow: %w", p.path, err)
	}
	return nil
}

// sizeOfExt4 reads the filesystem's size from its superblock.
func sizeOfExt4(image *os.File) (uint64, error) {
	const at, low, high, scale = 1024, 0x04, 0x150, 0x18
	b := make([]byte, 1024)
	if _, err := image.ReadAt(b, at); err != nil {
		return 0, err
	}
	blocks := uint64(binary.LittleEndian.Uint32(b[low:])) | uint64(binary.LittleEndian.Uint32(b[high:]))<<32
	return blocks * 1024 << (binary.LittleEndian.Uint32(b[scale:]) & 7), nil
}

func growXFS(dir *os.File, blocks uint64) error {
	const (
		growData = 0x4010586e // XFS_IOC_FSGROWFSDATA
		// The share of the space that inodes may take, in percent, as mkfs sets it.
		inodes = 25
	)
	arg := struct {
		blocks  uint64
		percent uint32
		_       uint32
	}{blocks: blocks, percent: inodes}
	return ioctl(dir, growData, unsafe.Pointer(&arg))
}

func growExt4(dir *os.File, blocks uint64) error {
	const resize = 0x40086610 // EXT4_IOC_RESIZE_FS
	return ioctl(dir, resize, unsafe.Pointer(&blocks))
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// growUnmounted is for an ext4 that may not grow while it is mounted.
func (p *placed) growUnmounted(ctx context.Context) error {
	if err := p.unmount(ctx); errors.Is(err, volume.ErrBusy) {
		return fmt.Errorf("%w; its filesystem, ext4, grows while it is used only where Warren has CAP_SYS_RESOURCE: stop the services that use it, resize it, start them again", err)
	} else if err != nil {
		return err
	}
	image := filepath.Join(p.root.Name(), p.image())
	for _, args := range [][]string{{"e2fsck", "-f", "-p", image}, {"resize2fs", image}} {
		program, err := findProgram(args[0])
		if err != nil {
			return fmt.Errorf("%w; install it: apt-get install e2fsprogs", err)
		}
		if err := runProgram(ctx, program, args[1:]...); err != nil {
			return errors.Join(err, p.mount())
		}
	}
	return p.mount()
}
