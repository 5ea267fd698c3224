package secretfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// kind is a filesystem in memory that never swaps.
type kind struct {
	name    string
	options func(fsfd int, capacity uint64) error
}

// kinds in the order they are tried.
var kinds = []kind{
	{name: "tmpfs", options: tmpfsOptions},
	// ramfs has no swap and no limit; Warren is its only writer, and Write
	// keeps to the capacity.
	{name: "ramfs", options: func(fsfd int, _ uint64) error {
		return unix.FsconfigSetString(fsfd, "mode", "0700")
	}},
}

func tmpfsOptions(fsfd int, capacity uint64) error {
	// Linux 6.4; older ones say EINVAL.
	if err := unix.FsconfigSetFlag(fsfd, "noswap"); err != nil {
		return fmt.Errorf("noswap: %w", err)
	}
	if err := unix.FsconfigSetString(fsfd, "mode", "0700"); err != nil {
		return err
	}
	return unix.FsconfigSetString(fsfd, "size", strconv.FormatUint(capacity, 10))
}

// mountMemory mounts the first kind that the kernel has at path.
func mountMemory(path string, kinds []kind, capacity uint64) error {
	var problems []error
	for _, k := range kinds {
		err := k.mount(path, capacity)
		if err == nil {
			return nil
		}
		problems = append(problems, fmt.Errorf("%s: %w", k.name, err))
	}
	return fmt.Errorf("this kernel offers neither tmpfs with noswap (Linux 6.4) nor ramfs, "+
		"so secrets could reach swap and are not written: %w", errors.Join(problems...))
}

func (k kind) mount(path string, capacity uint64) error {
	fsfd, err := unix.Fsopen(k.name, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fsfd)
	if err := k.options(fsfd, capacity); err != nil {
		return err
	}
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return err
	}
	mfd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC,
		unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(mfd)
	return unix.MoveMount(mfd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// grow makes room for that many bytes beside what is there.
func (m *memoryFS) grow(more uint64) error {
	used, err := m.used()
	if err != nil {
		return err
	}
	m.capacity = max(m.capacity, used+more)
	if !m.limited {
		return nil
	}
	dir, err := m.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return &os.PathError{Op: "statfs", Path: m.root.Name(), Err: err}
	}
	if st.Blocks*uint64(st.Bsize) >= used+more {
		return nil
	}
	fsfd, err := unix.Fspick(int(dir.Fd()), "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH)
	if err != nil {
		return &os.PathError{Op: "fspick", Path: m.root.Name(), Err: err}
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigSetString(fsfd, "size", strconv.FormatUint(used+more, 10)); err != nil {
		return &os.PathError{Op: "resize", Path: m.root.Name(), Err: err}
	}
	if err := unix.FsconfigReconfigure(fsfd); err != nil {
		return &os.PathError{Op: "resize", Path: m.root.Name(), Err: err}
	}
	return nil
}

// unmount takes the mount away even when something still looks into it.
func unmount(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil {
		return &os.PathError{Op: "unmount", Path: path, Err: err}
	}
	return nil
}

// openMemory opens the memory filesystem mounted at path; ErrNotMounted when
// path is a plain directory, and another error when something is mounted there
// that may reach a disk.
func openMemory(path string) (*memoryFS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	limited, err := checkMemory(root)
	if err != nil {
		root.Close()
		return nil, err
	}
	return &memoryFS{root: root, limited: limited}, nil
}

// checkMemory looks at what the handle has open, not at what its path names.
// It tells whether the filesystem has a size limit of its own.
func checkMemory(root *os.Root) (limited bool, err error) {
	dir, err := root.Open(".")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	var st unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return false, &os.PathError{Op: "statx", Path: root.Name(), Err: err}
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 || st.Mask&unix.STATX_MNT_ID == 0 {
		return false, errors.New("this kernel cannot tell mount points; Linux 5.8 is needed for secrets")
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, ErrNotMounted
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return uint64(m.ID) != st.Mnt_id, uint64(m.ID) == st.Mnt_id
	})
	if err != nil {
		return false, err
	}
	if len(mounts) != 1 || !neverSwaps(mounts[0]) {
		return false, fmt.Errorf("%s: something is mounted here that is not Warren's; unmount it", root.Name())
	}
	return mounts[0].FSType == "tmpfs", nil
}

func neverSwaps(m *mountinfo.Info) bool {
	switch m.FSType {
	case "ramfs":
		return true
	case "tmpfs":
		return slices.Contains(strings.Split(m.VFSOptions, ","), "noswap")
	}
	return false
}
