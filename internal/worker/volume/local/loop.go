package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// attach returns the loop device of an image: the one that it has, or a new
// one. An image never gets two, which would be two writers. The device goes by
// itself once neither this file nor a mount has it open.
func attach(image *os.File) (*os.File, error) {
	if device, err := attached(image); err != nil || device != nil {
		return device, err
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("a volume with a limit needs loop devices: %w; load them: modprobe loop", err)
	}
	defer control.Close()
	for {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := openLoop(number)
		if err != nil {
			return nil, err
		}
		err = configure(device, image)
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) { // else somebody was faster
			return nil, fmt.Errorf("put %s behind %s: %w", image.Name(), device.Name(), err)
		}
	}
}

// configure puts the image behind a free device, without a second copy of its
// blocks in memory where the disk can do that, and such that discarded blocks
// stay reserved.
func configure(device, image *os.File) error {
	config := unix.LoopConfig{Fd: uint32(image.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	copy(config.Info.File_name[:], filepath.Base(image.Name()))
	err := unix.IoctlLoopConfigure(int(device.Fd()), &config)
	if errors.Is(err, unix.EINVAL) {
		config.Info.Flags &^= unix.LO_FLAGS_DIRECT_IO
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
	}
	if err != nil {
		return err
	}
	queue := filepath.Join("/sys/block", filepath.Base(device.Name()), "queue/discard_max_bytes")
	_ = os.WriteFile(queue, []byte("0"), 0) // a kernel that cannot punch holes has none
	return nil
}

// openLoop opens the device of a number, and makes its file where nobody does.
func openLoop(number int) (*os.File, error) {
	name := fmt.Sprintf("/dev/loop%d", number)
	device, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		const loopMajor = 7
		if err := unix.Mknod(name, unix.S_IFBLK|0o660, int(unix.Mkdev(loopMajor, uint32(number)))); err != nil && err != unix.EEXIST {
			return nil, &fs.PathError{Op: "mknod", Path: name, Err: err}
		}
		device, err = os.OpenFile(name, os.O_RDWR, 0)
	}
	return device, err
}

// attached returns the device that the image is behind, nil when there is none.
func attached(image *os.File) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(image.Fd()), &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: image.Name(), Err: err}
	}
	bound, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return nil, err
	}
	for _, dir := range bound {
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "loop"))
		if err != nil {
			continue
		}
		device, err := openLoop(number)
		if err != nil {
			return nil, err
		}
		info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		if err == nil && info.Device == uint64(st.Dev) && info.Inode == st.Ino {
			return device, nil
		}
		device.Close() // another's, or gone meanwhile
	}
	return nil, nil
}
