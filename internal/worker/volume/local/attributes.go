package local

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// copyAttributes gives one open file or directory owner, extended attributes,
// mode and times of another. The order matters: changing the owner drops file
// capabilities and set-user-ID bits.
func copyAttributes(from, to *os.File, st *unix.Stat_t) error {
	fd := int(to.Fd())
	if err := unix.Fchown(fd, int(st.Uid), int(st.Gid)); err != nil {
		return &os.PathError{Op: "chown", Path: to.Name(), Err: err}
	}
	if err := copyXattrs(int(from.Fd()), fd); err != nil {
		return &os.PathError{Op: "setxattr", Path: to.Name(), Err: err}
	}
	if err := unix.Fchmod(fd, st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: to.Name(), Err: err}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(to), times(st), 0)
}

// ownAndDate does the same for what cannot be opened, without attributes.
func ownAndDate(dir *os.File, name string, st *unix.Stat_t) error {
	if err := unix.Fchownat(int(dir.Fd()), name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), name, times(st), unix.AT_SYMLINK_NOFOLLOW)
}

func times(st *unix.Stat_t) []unix.Timespec { return []unix.Timespec{st.Atim, st.Mtim} }

// procPath names an open file by its descriptor.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// copyXattrs copies extended attributes, ACLs and file capabilities among them.
func copyXattrs(from, to int) error {
	size, err := unix.Flistxattr(from, nil)
	if err == unix.EOPNOTSUPP || size == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	list := make([]byte, size)
	if size, err = unix.Flistxattr(from, list); err != nil {
		return err
	}
	for name := range strings.SplitSeq(string(list[:size]), "\x00") {
		if name == "" || foreignXattr(name) {
			continue
		}
		if err := copyXattr(from, to, name); err != nil {
			return err
		}
	}
	return nil
}

func copyXattr(from, to int, name string) error {
	size, err := unix.Fgetxattr(from, name, nil)
	if err != nil {
		return err
	}
	value := make([]byte, size)
	if size, err = unix.Fgetxattr(from, name, value); err != nil {
		return err
	}
	err = unix.Fsetxattr(to, name, value[:size], 0)
	if err == unix.EOPNOTSUPP {
		// The volume's filesystem has no such attributes.
		return nil
	}
	return err
}

// foreignXattr are attributes of the filesystem that the image is mounted
// with, and labels that belong to a place rather than to a file.
func foreignXattr(name string) bool {
	return strings.HasPrefix(name, "trusted.overlay.") || name == "security.selinux"
}
