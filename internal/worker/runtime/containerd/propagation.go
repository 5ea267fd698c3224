package containerd

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// shareMounts makes the mounts that the directories are on shared, where they
// are private: else what is mounted below a volume later would not appear in
// running containers, and what is unmounted there would stay busy in them.
// Machines that systemd started are like that; others need not be.
func shareMounts(log *slog.Logger, dirs ...string) error {
	for _, dir := range dirs {
		on, err := mountOf(dir)
		if err != nil {
			return fmt.Errorf("find the mount of %s: %w", dir, err)
		}
		if strings.Contains(on.Optional, "shared:") {
			continue
		}
		if err := unix.Mount("", on.Mountpoint, "", unix.MS_SHARED, ""); err != nil {
			return fmt.Errorf("make the mount at %s shared, as containers need it: %w", on.Mountpoint, err)
		}
		log.Info("made a private mount shared", "mount", on.Mountpoint)
	}
	return nil
}

// mountOf is the topmost mount that path is on.
func mountOf(path string) (*mountinfo.Info, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(path))
	if err != nil {
		return nil, err
	}
	var on *mountinfo.Info
	for _, m := range mounts {
		if on == nil || len(m.Mountpoint) >= len(on.Mountpoint) {
			on = m
		}
	}
	if on == nil {
		return nil, fmt.Errorf("nothing is mounted there")
	}
	return on, nil
}
