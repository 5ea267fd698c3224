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

// xattr is an extended attribute.
type xattr struct {
	name  string
	value []byte
}

// copyXattrs copies extended attributes, ACLs and file capabilities among them.
func copyXattrs(from, to int) error {
	xattrs, err := readXattrs(from)
	if err != nil {
		return err
	}
	for _, x := range xattrs {
		// The volume's filesystem may have no such attributes.
		if err := unix.Fsetxattr(to, x.name, x.value, 0); err != nil && err != unix.EOPNOTSUPP {
			return err
		}
	}
	return nil
}

func readXattrs(fd int) ([]xattr, error) {
	size, err := unix.Flistxattr(fd, nil)
	if err == unix.EOPNOTSUPP || err == nil && size == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := make([]byte, size)
	if size, err = unix.Flistxattr(fd, list); err != nil {
		return nil, err
	}
	var out []xattr
	for name := range strings.SplitSeq(string(list[:size]), "\x00") {
		if name == "" || foreignXattr(name) {
			continue
		}
		value, err := readXattr(fd, name)
		if err == unix.ENODATA {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, xattr{name, value})
	}
	return out, nil
}

func readXattr(fd int, name string) ([]byte, error) {
	size, err := unix.Fgetxattr(fd, name, nil)
	if err != nil {
		return nil, err
	}
	value := make([]byte, size)
	size, err = unix.Fgetxattr(fd, name, value)
	return value[:max(size, 0)], err
}

// foreignXattr are attributes of the filesystem that the image is mounted
// with, and labels that belong to a place rather than to a file.
func foreignXattr(name string) bool {
	return strings.HasPrefix(name, "trusted.overlay.") || name == "security.selinux"
}
