package agent

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/volume"
)

// ioLimits are a container's, one per device: the kernel knows devices, not
// directories.
type ioLimits []runtime.IOLimit

// add limits the device that a volume is on. Of two volumes on one device the
// tighter limit holds.
func (l *ioLimits) add(pin *warrenv1.VolumePin, path string, c *warrenv1.ContainerSpec) error {
	limit := limitOf(pin, c)
	if limit == nil {
		return nil
	}
	major, minor, err := volume.Device(path)
	if err != nil {
		return fmt.Errorf("limit the I/O of volume %s: %w", pin.GetVolume(), err)
	}
	for i := range *l {
		if have := &(*l)[i]; have.Major == major && have.Minor == minor {
			have.BytesPerSecond = tighter(have.BytesPerSecond, limit.GetBytesPerSecond())
			have.OperationsPerSecond = tighter(have.OperationsPerSecond, limit.GetOperationsPerSecond())
			return nil
		}
	}
	*l = append(*l, runtime.IOLimit{
		Major: major, Minor: minor,
		BytesPerSecond: limit.GetBytesPerSecond(), OperationsPerSecond: limit.GetOperationsPerSecond(),
	})
	return nil
}

func limitOf(pin *warrenv1.VolumePin, c *warrenv1.ContainerSpec) *warrenv1.IoLimit {
	for _, m := range c.GetVolumes() {
		if m.GetPath() == pin.GetPath() { // the only one there
			return m.GetIoLimit()
		}
	}
	return nil
}

// tighter of two limits, of which 0 is none.
func tighter(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
