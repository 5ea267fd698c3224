package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	v1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	"github.com/containerd/cgroups/v3/cgroup2"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// Usage reads the container's cgroup, which is there while it runs.
func (r *Runtime) Usage(_ context.Context, id string) (runtime.Usage, error) {
	read := usageV1
	if cgroups.Mode() == cgroups.Unified {
		read = usageV2
	}
	usage, err := read(path.Join(cgroupParent, id))
	if errors.Is(err, cgroup1.ErrCgroupDeleted) || errors.Is(err, os.ErrNotExist) {
		err = runtime.ErrNotFound
	}
	if err != nil {
		return runtime.Usage{}, fmt.Errorf("measure container %s: %w", id, err)
	}
	return usage, nil
}

func usageV1(group string) (runtime.Usage, error) {
	m, err := statV1(group)
	if err != nil {
		return runtime.Usage{}, err
	}
	u := runtime.Usage{
		CPU:       time.Duration(m.GetCPU().GetUsage().GetTotal()),
		Memory:    without(m.GetMemory().GetUsage().GetUsage(), m.GetMemory().GetTotalInactiveFile()),
		Processes: uint32(m.GetPids().GetCurrent()),
	}
	for _, io := range m.GetBlkio().GetIoServiceBytesRecursive() {
		switch strings.ToLower(io.GetOp()) {
		case "read":
			u.Read += io.GetValue()
		case "write":
			u.Written += io.GetValue()
		}
	}
	return u, nil
}

// statV1 reads only what is shown.
func statV1(group string) (*v1.Metrics, error) {
	shown := func() ([]cgroup1.Subsystem, error) {
		all, err := cgroup1.Default()
		if err != nil {
			return nil, err
		}
		var out []cgroup1.Subsystem
		for _, s := range all {
			switch s.Name() {
			case cgroup1.Cpuacct, cgroup1.Memory, cgroup1.Blkio, cgroup1.Pids:
				out = append(out, s)
			}
		}
		return out, nil
	}
	c, err := cgroup1.Load(cgroup1.StaticPath(group), cgroup1.WithHierarchy(shown))
	if err != nil {
		return nil, err
	}
	return c.Stat(cgroup1.IgnoreNotExist)
}

func usageV2(group string) (runtime.Usage, error) {
	c, err := cgroup2.Load(group)
	if err != nil {
		return runtime.Usage{}, err
	}
	m, err := c.Stat()
	if err != nil {
		return runtime.Usage{}, err
	}
	u := runtime.Usage{
		CPU:       time.Duration(m.GetCPU().GetUsageUsec()) * time.Microsecond,
		Memory:    without(m.GetMemory().GetUsage(), m.GetMemory().GetInactiveFile()),
		Processes: uint32(m.GetPids().GetCurrent()),
	}
	for _, io := range m.GetIo().GetUsage() {
		u.Read += io.GetRbytes()
		u.Written += io.GetWbytes()
	}
	return u, nil
}

func without(all, part uint64) uint64 {
	return all - min(all, part)
}
