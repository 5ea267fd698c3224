package spec

import (
	"strconv"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// DefaultPidsLimit stops a fork bomb, and no database that we know of.
	DefaultPidsLimit = 4096
	// LeastMemory is what a container needs to come up at all.
	LeastMemory = 6_000_000

	maxCPUMillis   = 1_000_000
	leastCPUMillis = 10
	maxPids        = 4 << 20
	leastIORate    = 4096
)

// DefaultResources fills in the limits that every container has.
func DefaultResources(c *warrenv1.ContainerSpec) {
	if c.Resources == nil {
		c.Resources = &warrenv1.Resources{}
	}
	if c.Resources.PidsLimit == 0 {
		c.Resources.PidsLimit = DefaultPidsLimit
	}
}

func validateResources(service string, c *warrenv1.ContainerSpec) error {
	r := c.GetResources()
	switch cpu, memory := r.GetCpuLimitMillis(), r.GetMemoryLimitBytes(); {
	case cpu > maxCPUMillis || r.GetCpuReserveMillis() > maxCPUMillis:
		return invalid(KindService, service, "no machine has more than %d CPUs", maxCPUMillis/1000)
	case cpu != 0 && cpu < leastCPUMillis:
		return invalid(KindService, service, "a CPU limit of %s is below %s", FormatCPU(uint64(cpu)), FormatCPU(leastCPUMillis))
	case memory != 0 && memory < LeastMemory:
		return invalid(KindService, service, "a memory limit of %s is below %s, which a container needs to start",
			FormatSize(memory), FormatSize(LeastMemory))
	case cpu != 0 && r.GetCpuReserveMillis() > cpu:
		return invalid(KindService, service, "%s CPUs are reserved, but its limit is %s",
			FormatCPU(uint64(r.GetCpuReserveMillis())), FormatCPU(uint64(cpu))).
			WithHint("lower --cpu-reserve or raise --cpu-limit")
	case memory != 0 && r.GetMemoryReserveBytes() > memory:
		return invalid(KindService, service, "%s of memory are reserved, but its limit is %s",
			FormatSize(r.GetMemoryReserveBytes()), FormatSize(memory)).
			WithHint("lower --memory-reserve or raise --memory-limit")
	case r.GetPidsLimit() > maxPids:
		return invalid(KindService, service, "a limit of %d processes is above %d, the most that Linux has", r.GetPidsLimit(), maxPids)
	}
	for _, v := range c.GetVolumes() {
		if bytes := v.GetIoLimit().GetBytesPerSecond(); bytes != 0 && bytes < leastIORate {
			return invalid(KindVolume, v.GetVolume(), "an I/O limit of %s/s for volume %q is below %s/s",
				FormatSize(bytes), v.GetVolume(), FormatSize(leastIORate))
		}
	}
	return nil
}

// IOLimits is --io-limit: VOLUME=20MB/s bounds bytes, VOLUME=500iops
// operations; each is put on the mounts of that volume.
func IOLimits(args []string, mounts []*warrenv1.VolumeMount) error {
	for _, arg := range args {
		volume, rate, found := strings.Cut(arg, "=")
		if !found || volume == "" {
			return invalid(KindVolume, "", "I/O limit %q is not VOLUME=RATE", arg).WithHint("write it as --io-limit db-data=20MB/s or db-data=500iops")
		}
		limited := false
		for _, m := range mounts {
			if m.GetVolume() != volume {
				continue
			}
			limited = true
			if m.IoLimit == nil {
				m.IoLimit = &warrenv1.IoLimit{}
			}
			if err := parseRate(rate, m.IoLimit); err != nil {
				return err
			}
		}
		if !limited {
			return invalid(KindVolume, volume, "an I/O limit is given for volume %q, which the service does not mount", volume).
				WithHint("mount it with --volume %s:/PATH", volume)
		}
	}
	return nil
}

// parseRate reads 20MB/s or 500iops into the limit.
func parseRate(rate string, into *warrenv1.IoLimit) error {
	if number, operations := strings.CutSuffix(strings.ToLower(rate), "iops"); operations {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n == 0 {
			return invalid(KindVolume, "", "%q is not a rate of operations", rate).WithHint("write it as 500iops")
		}
		into.OperationsPerSecond = n
		return nil
	}
	n, err := ParseSize(strings.TrimSuffix(rate, "/s"))
	if err != nil || n == 0 {
		return invalid(KindVolume, "", "%q is not a rate", rate).WithHint("write it as 20MB/s or 500iops")
	}
	into.BytesPerSecond = n
	return nil
}

// FormatIOLimit prints a limit as --io-limit takes it: 20MB/s, 500iops.
func FormatIOLimit(l *warrenv1.IoLimit) string {
	var parts []string
	if n := l.GetBytesPerSecond(); n != 0 {
		parts = append(parts, FormatSize(n)+"/s")
	}
	if n := l.GetOperationsPerSecond(); n != 0 {
		parts = append(parts, strconv.FormatUint(n, 10)+"iops")
	}
	return strings.Join(parts, ", ")
}
