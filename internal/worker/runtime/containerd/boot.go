package containerd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
)

// forgetEarlierBoot removes what is left of containers that a reboot ended.
// The run directory need not be in memory, so the boot's ID is compared.
func forgetEarlierBoot(root, state, sockets string) error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("read the boot's ID: %w", err)
	}
	file := filepath.Join(root, "boot_id")
	if last, err := os.ReadFile(file); err == nil && bytes.Equal(last, boot) {
		return nil
	}
	for _, dir := range []string{state, sockets} {
		if err := emptyDir(dir); err != nil {
			return fmt.Errorf("remove what an earlier boot left: %w", err)
		}
	}
	return os.WriteFile(file, boot, 0o600)
}

// emptyDir removes what is in dir, after unmounting what is mounted there.
func emptyDir(dir string) error {
	if err := mount.UnmountRecursive(dir, 0); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
