package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// How long the kernel may take to let go of an image after its last mount.
const (
	detachLimit = 5 * time.Second
	detachLook  = 10 * time.Millisecond
)

// unmount ends the volume's mount, removes the directory that it was on, and
// returns once nobody has its image open any more. It refuses while anything
// but that one mount uses the volume.
func (p *placed) unmount(ctx context.Context) error {
	p.leave()
	mounted, err := p.mounted()
	if errors.Is(err, volume.ErrNotFound) {
		return p.removePlace() // its image is gone
	}
	if err != nil {
		return err
	}
	if mounted {
		if user, err := p.user(); err != nil || user != "" {
			return errors.Join(err, busy(user))
		}
		err := unix.Unmount(p.path, unix.UMOUNT_NOFOLLOW)
		if err == unix.EBUSY {
			return fmt.Errorf("%w: a program has files of %s open; fuser -vm %s shows which", volume.ErrBusy, p.path, p.path)
		}
		if err != nil && err != unix.EINVAL {
			return &fs.PathError{Op: "unmount", Path: p.path, Err: err}
		}
	}
	if err := p.detached(ctx); err != nil {
		return err
	}
	return p.removePlace()
}

func busy(user string) error {
	if user == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", volume.ErrBusy, user)
}

// removePlace removes the directory that the volume was mounted on.
func (p *placed) removePlace() error {
	dir, err := p.openPlace()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	setImmutable(dir, false)
	err = p.root.Remove(p.rel)
	if errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("%w: there are files in %s, which are not the volume's; move them away", volume.ErrBusy, p.path)
	}
	return err
}

// user describes a mount of the volume beside its own, in whatever mount
// namespace, or one within it.
func (p *placed) user() (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(p.path, &st); err != nil {
		return "", &fs.PathError{Op: "stat", Path: p.path, Err: err}
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if within(m.Mountpoint, p.path) && m.Mountpoint != p.path {
			return m.Mountpoint + " is a mount point", nil
		}
	}
	return p.mountOf(uint64(st.Dev), p.path)
}

// mountOf describes a mount of the device that is not at the path.
func (p *placed) mountOf(dev uint64, except string) (string, error) {
	return findBind(func(m *mountinfo.Info) (skip, stop bool) {
		it := m.Major == int(unix.Major(dev)) && m.Minor == int(unix.Minor(dev)) && m.Mountpoint != except
		return !it, it
	})
}

// detached waits until the image is behind no device: as long as one is left,
// somebody in another mount namespace has the volume.
func (p *placed) detached(ctx context.Context) error {
	image, err := p.openImage()
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer image.Close()
	for deadline := time.Now().Add(detachLimit); ; {
		dev, err := p.loopOf(image)
		if err != nil || dev == 0 {
			return err
		}
		if user, err := p.mountOf(dev, ""); err != nil || user != "" {
			return errors.Join(err, busy(user))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: something has its image open", volume.ErrBusy)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(detachLook):
		}
	}
}

// loopOf returns the number of the image's device, 0 when it has none.
func (p *placed) loopOf(image *os.File) (uint64, error) {
	device, err := attached(image)
	if err != nil || device == nil {
		return 0, err
	}
	defer device.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(device.Fd()), &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: device.Name(), Err: err}
	}
	return uint64(st.Rdev), nil
}
