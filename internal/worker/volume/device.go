package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Device returns the numbers of the block device that the path's filesystem is
// on: the whole disk where that is a part of one, since only disks have queues
// in which I/O can be slowed down.
func Device(path string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, fmt.Errorf("look at %s: %w", path, err)
	}
	dev := uint64(st.Dev)
	if unix.Major(dev) == 0 {
		// Filesystems that can span disks, such as btrfs, make numbers up.
		if dev, err = mountedFrom(path); err != nil {
			return 0, 0, err
		}
	}
	return wholeDisk(unix.Major(dev), unix.Minor(dev))
}

// mountedFrom returns the device that the path's mount names as its source.
func mountedFrom(path string) (uint64, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return 0, err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(path))
	if err != nil {
		return 0, err
	}
	var on *mountinfo.Info
	for _, m := range mounts {
		if on == nil || len(m.Mountpoint) >= len(on.Mountpoint) {
			on = m
		}
	}
	var st unix.Stat_t
	if on == nil || unix.Stat(on.Source, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, fmt.Errorf("%s is on no block device", path)
	}
	return uint64(st.Rdev), nil
}

func wholeDisk(major, minor uint32) (uint32, uint32, error) {
	dir := fmt.Sprintf("/sys/dev/block/%d:%d", major, minor)
	if _, err := os.Stat(filepath.Join(dir, "partition")); err != nil {
		return major, minor, nil
	}
	numbers, err := os.ReadFile(filepath.Join(dir, "..", "dev"))
	if err != nil {
		return 0, 0, fmt.Errorf("find the disk of partition %d:%d: %w", major, minor, err)
	}
	a, b, _ := strings.Cut(strings.TrimSpace(string(numbers)), ":")
	whole, errA := strconv.ParseUint(a, 10, 32)
	part, errB := strconv.ParseUint(b, 10, 32)
	if errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("%s says %q, which is no device", dir, numbers)
	}
	return uint32(whole), uint32(part), nil
}
