package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// openFilesystem mounts the filesystem in an image nowhere: it is reached
// through the returned directory, its root, and through nothing else. The mount
// ends when that is closed, however this program ends.
func openFilesystem(image *os.File) (*os.File, error) {
	device, err := attach(image)
	if err != nil {
		return nil, err
	}
	defer device.Close()
	kind, err := filesystemOf(image)
	if err != nil {
		return nil, err
	}
	opened, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("this kernel cannot mount %s: %w", kind, err)
	}
	defer unix.Close(opened)
	if err := unix.FsconfigSetString(opened, "source", device.Name()); err != nil {
		return nil, err
	}
	if err := unix.FsconfigCreate(opened); err != nil {
		return nil, fmt.Errorf("mount the filesystem in %s: %w%s", image.Name(), err, reasons(opened))
	}
	fd, err := unix.Fsmount(opened, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("mount the filesystem in %s: %w", image.Name(), err)
	}
	return os.NewFile(uintptr(fd), image.Name()), nil
}

// reasons is what the kernel has to say of a mount that failed.
func reasons(opened int) string {
	var all strings.Builder
	line := make([]byte, 1024)
	for {
		n, err := unix.Read(opened, line)
		if err != nil || n <= 0 {
			return all.String()
		}
		all.WriteString("; " + strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "e ")))
	}
}

// filesystemOf tells by its magic number what is in an image.
func filesystemOf(image *os.File) (string, error) {
	head := make([]byte, 1082)
	if _, err := image.ReadAt(head, 0); err != nil {
		return "", err
	}
	switch {
	case string(head[:4]) == "XFSB":
		return "xfs", nil
	case head[1080] == 0x53 && head[1081] == 0xef:
		return "ext4", nil
	}
	return "", fmt.Errorf("%s holds no filesystem that Warren made", image.Name())
}

// openImage opens the volume's image; ErrNotFound when it is gone.
func (p *placed) openImage() (*os.File, error) {
	f, err := p.root.OpenFile(p.image(), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its image %s is gone", volume.ErrNotFound, filepath.Join(p.root.Name(), p.image()))
	}
	return f, err
}

// enter makes the filesystem in the image the volume's area.
func (p *placed) enter() error {
	image, err := p.openImage()
	if err != nil {
		return err
	}
	defer image.Close()
	top, err := openFilesystem(image)
	if err != nil {
		return err
	}
	defer top.Close()
	return p.enterAt(top)
}

func (p *placed) enterAt(top *os.File) error {
	area, err := os.OpenRoot(procPath(top))
	if err != nil {
		return err
	}
	p.leave()
	p.area, p.data = area, dataDir
	return nil
}

// leave lets go of the filesystem, if it was entered.
func (p *placed) leave() {
	if p.area != p.root {
		p.area.Close()
	}
	p.area, p.data = p.root, p.rel
}

// mounted tells whether the volume's own filesystem is mounted on its
// directory. Anything else that is mounted there is an error.
func (p *placed) mounted() (bool, error) {
	var here, around unix.Stat_t
	err := unix.Lstat(p.path, &here)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "stat", Path: p.path, Err: err}
	}
	if err := unix.Stat(filepath.Dir(p.path), &around); err != nil {
		return false, &fs.PathError{Op: "stat", Path: filepath.Dir(p.path), Err: err}
	}
	if here.Dev == around.Dev {
		return false, nil
	}
	image, err := p.openImage()
	if err != nil {
		return false, err
	}
	defer image.Close()
	device, err := attached(image)
	if err != nil {
		return false, err
	}
	if device != nil {
		defer device.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(device.Fd()), &st); err == nil && st.Rdev == here.Dev {
			return true, nil
		}
	}
	return false, fmt.Errorf("%w: something else is mounted on %s; unmount it: umount %s", volume.ErrBusy, p.path, p.path)
}

// mount mounts the volume on its directory, unless it is.
func (p *placed) mount() error {
	if mounted, err := p.mounted(); err != nil || mounted {
		return err
	}
	if err := p.mayMountOn(); err != nil {
		return err
	}
	image, err := p.openImage()
	if err != nil {
		return err
	}
	defer image.Close()
	if st, err := image.Stat(); err != nil {
		return err
	} else if err := p.reserve(image, uint64(st.Size())); err != nil {
		p.log.Warn("not all of the volume's blocks are reserved; when the disk is full, it loses what is written", "volume", p.path, "error", err)
	}
	top, err := openFilesystem(image)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := p.enterAt(top); err != nil {
		return err
	}
	if err := p.finishPopulate(); err != nil {
		return err
	}
	return p.mountAt(top)
}

// mayMountOn prepares the directory to mount on, and refuses one that has
// files: they would be hidden. It cannot be written to while nothing is mounted.
func (p *placed) mayMountOn() error {
	if err := p.makeDir(); err != nil {
		return err
	}
	dir, err := p.openPlace()
	if err != nil {
		return err
	}
	defer dir.Close()
	empty, err := isEmpty(dir)
	if err != nil {
		return err
	}
	if !empty {
		return fmt.Errorf("%w: there are files in %s, where the volume is to be mounted, and they would be hidden; move them away (mv %s %s.found), and into the volume once it is mounted",
			volume.ErrBusy, p.path, p.path, p.path)
	}
	setImmutable(dir, true)
	return nil
}

// openPlace opens the directory itself, whatever is mounted on it.
func (p *placed) openPlace() (*os.File, error) {
	top, err := p.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	dir, err := openBeneath(top, p.rel, unix.RESOLVE_NO_XDEV)
	if errors.Is(err, unix.EXDEV) {
		return nil, fmt.Errorf("%w: something is mounted on %s; unmount it: umount %s", volume.ErrBusy, p.path, p.path)
	}
	return dir, err
}

// setImmutable is an extra: not every filesystem has it.
func setImmutable(dir *os.File, on bool) {
	flags, err := unix.IoctlGetUint32(int(dir.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return
	}
	const immutable = 0x10 // FS_IMMUTABLE_FL
	flags &^= immutable
	if on {
		flags |= immutable
	}
	_ = unix.IoctlSetPointerInt(int(dir.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
}

// mountAt mounts the volume, a directory of its filesystem, where it belongs.
func (p *placed) mountAt(top *os.File) error {
	dir, err := p.openPlace()
	if err != nil {
		return err
	}
	defer dir.Close()
	tree, err := unix.OpenTree(int(top.Fd()), dataDir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("mount %s: %w", p.path, err)
	}
	defer unix.Close(tree)
	err = unix.MoveMount(tree, "", int(dir.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount %s: %w", p.path, err)
	}
	return nil
}
