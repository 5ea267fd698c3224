package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// findMount returns a description of something that is mounted on the
// directory or below it, or that has the directory or something below it
// mounted elsewhere, in whatever mount namespace: a container's bind mount is
// seen only there. Empty when there is nothing.
func findMount(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return "", err
	}
	var under *mountinfo.Info
	for _, m := range mounts {
		if within(m.Mountpoint, dir) {
			return m.Mountpoint + " is a mount point", nil
		}
		if within(dir, m.Mountpoint) && (under == nil || len(m.Mountpoint) >= len(under.Mountpoint)) {
			under = m
		}
	}
	if under == nil {
		return "", fmt.Errorf("no mount found that %s is on", dir)
	}
	inFilesystem := filepath.Join(under.Root, strings.TrimPrefix(dir, under.Mountpoint))
	return findBind(func(m *mountinfo.Info) (skip, stop bool) {
		same := m.Major == under.Major && m.Minor == under.Minor && within(m.Root, inFilesystem)
		return !same, same
	})
}

// findBind looks for a mount in every mount namespace that a process is in.
func findBind(filter mountinfo.FilterFunc) (string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return "", err
	}
	seen := map[string]bool{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that has ended meanwhile, or never had mounts, has none.
		namespace, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/mnt"))
		if err != nil || seen[namespace] {
			continue
		}
		mounts, err := mountsOf(pid, filter)
		if err != nil {
			continue
		}
		seen[namespace] = true
		if len(mounts) > 0 {
			return fmt.Sprintf("process %d has it mounted at %s", pid, mounts[0].Mountpoint), nil
		}
	}
	return "", nil
}

func mountsOf(pid int, filter mountinfo.FilterFunc) ([]*mountinfo.Info, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mountinfo.GetMountsFromReader(f, filter)
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
