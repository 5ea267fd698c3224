package volume

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Identity tells one directory from another at the same path: after a volume's
// directory was removed and restored, a container still has the old one
// mounted, and only device and inode show it.
func Identity(path string) (dev, ino uint64, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, 0, fmt.Errorf("look at %s: %w", path, err)
	}
	return uint64(st.Dev), st.Ino, nil
}
