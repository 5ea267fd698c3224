package containerd

import (
	"context"
	"os"
	"slices"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// cpuPeriod is how often the kernel gives out shares of the processors, in
// microseconds.
const cpuPeriod = 100_000

// withLimits leaves out what is not limited.
func withLimits(l runtime.Limits) []oci.SpecOpts {
	var options []oci.SpecOpts
	if l.CPUMillis != 0 {
		options = append(options, oci.WithCPUCFS(int64(l.CPUMillis)*cpuPeriod/1000, cpuPeriod))
	}
	if l.Memory != 0 {
		options = append(options, oci.WithMemoryLimit(l.Memory))
		if limitsSwap() {
			// The limit is of both together: none of it in swap.
			options = append(options, oci.WithMemorySwap(int64(l.Memory)))
		}
	}
	if l.Pids != 0 {
		options = append(options, oci.WithPidsLimit(int64(l.Pids)))
	}
	if len(l.IO) != 0 {
		options = append(options, oci.WithBlockIO(throttled(l.IO)))
	}
	return options
}

// limitsSwap is false for a first-generation cgroup of a kernel that does not
// count swap.
func limitsSwap() bool {
	if cgroups.Mode() == cgroups.Unified {
		return true
	}
	_, err := os.Stat("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
	return err == nil
}

func throttled(limits []runtime.IOLimit) *specs.LinuxBlockIO {
	io := &specs.LinuxBlockIO{}
	for _, l := range limits {
		device := func(rate uint64) specs.LinuxThrottleDevice {
			d := specs.LinuxThrottleDevice{Rate: rate}
			d.Major, d.Minor = int64(l.Major), int64(l.Minor)
			return d
		}
		if n := l.BytesPerSecond; n != 0 {
			io.ThrottleReadBpsDevice = append(io.ThrottleReadBpsDevice, device(n))
			io.ThrottleWriteBpsDevice = append(io.ThrottleWriteBpsDevice, device(n))
		}
		if n := l.OperationsPerSecond; n != 0 {
			io.ThrottleReadIOPSDevice = append(io.ThrottleReadIOPSDevice, device(n))
			io.ThrottleWriteIOPSDevice = append(io.ThrottleWriteIOPSDevice, device(n))
		}
	}
	return io
}

// withCapabilities changes Docker's default: first what is dropped, then what
// is added.
func withCapabilities(c runtime.Container) oci.SpecOpts {
	return func(ctx context.Context, cl oci.Client, record *containers.Container, s *oci.Spec) error {
		var options []oci.SpecOpts
		if slices.Contains(c.DropCapabilities, spec.AllCapabilities) {
			options = append(options, oci.WithCapabilities(nil))
		} else if len(c.DropCapabilities) > 0 {
			options = append(options, oci.WithDroppedCapabilities(c.DropCapabilities))
		}
		if slices.Contains(c.AddCapabilities, spec.AllCapabilities) {
			// All that this process has to give.
			options = append(options, oci.WithAllCurrentCapabilities)
			if !slices.Contains(c.DropCapabilities, spec.AllCapabilities) {
				options = append(options, oci.WithDroppedCapabilities(c.DropCapabilities))
			}
		} else if len(c.AddCapabilities) > 0 {
			options = append(options, oci.WithAddedCapabilities(c.AddCapabilities))
		}
		return oci.Compose(options...)(ctx, cl, record, s)
	}
}
