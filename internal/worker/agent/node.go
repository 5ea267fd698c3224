package agent

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strings"

	"golang.org/x/sys/unix"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// bootID is another one each time the machine boots.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the machine's boot ID: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// describe says what this machine is.
func (a *Agent) describe() *warrenv1.NodeDescription {
	d := &warrenv1.NodeDescription{
		Hostname:      a.cfg.Hostname,
		Address:       a.cfg.Address,
		WarrenVersion: a.cfg.Version,
		BootId:        a.cfg.BootID,
		Architecture:  goruntime.GOARCH,
		Cpus:          uint32(goruntime.NumCPU()),
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		d.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		d.MemoryBytes = uint64(info.Totalram) * uint64(info.Unit)
	}
	if disk, err := a.disk(); err == nil {
		d.DiskBytes, d.DiskFreeBytes = disk.total, disk.free
	}
	return d
}

// space is of a filesystem, in bytes; free is what users other than root get.
type space struct{ total, free uint64 }

func (a *Agent) disk() (space, error) {
	total, free, err := a.cfg.Disk()
	return space{total, free}, err
}

// measure measures the filesystem that a directory is on.
func measure(dir string) (total, free uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("measure the disk of %s: %w", dir, err)
	}
	// What is kept for root counts neither as free nor as there.
	return (fs.Blocks - fs.Bfree + fs.Bavail) * uint64(fs.Bsize), fs.Bavail * uint64(fs.Bsize), nil
}
