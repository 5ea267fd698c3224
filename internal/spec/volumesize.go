package spec

import (
	"math"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// LeastVolumeSize is what a filesystem needs to be of any use, in bytes.
const LeastVolumeSize = 10_000_000

// ParseVolumeSize reads the limit of a volume: 10G, 500MB, 1.5TiB.
func ParseVolumeSize(volume, arg string) (uint64, error) {
	size, err := ParseSize(arg)
	if err != nil {
		return 0, invalid(KindVolume, volume, "%q is not a size", arg).WithHint("write it as --size 500MB, 10G or 1.5TiB")
	}
	return size, volumeSize(volume, size)
}

func volumeSize(volume string, size uint64) error {
	switch {
	case size < LeastVolumeSize:
		return invalid(KindVolume, volume, "a limit of %s is below %s, the least that a volume can have", FormatSize(size), FormatSize(LeastVolumeSize)).
			WithHint("leave --size out for a volume without a limit")
	case size > math.MaxInt64:
		return invalid(KindVolume, volume, "a limit of %s is more than there can be", FormatSize(size))
	}
	return nil
}

// NearlyFull tells whether people are to be warned that something is full: from
// 80 % on, and once they were, until it is below 75 %.
func NearlyFull(used, capacity uint64, before bool) bool {
	share := 80.0
	if before {
		share = 75
	}
	return capacity != 0 && float64(used) >= float64(capacity)*share/100
}

// MayResize tells whether a volume can be given that limit.
func MayResize(v *warrenv1.Volume, size uint64) error {
	name, limit := v.GetMeta().GetName(), v.GetSpec().GetSizeBytes()
	if err := volumeSize(name, size); err != nil {
		return err
	}
	switch {
	case limit == 0:
		return Problemf(Refused, KindVolume, name, "volume %q has no limit", name).
			WithHint("create another one with --size, and copy its data there")
	case size < limit:
		return Problemf(Refused, KindVolume, name, "volume %q has a limit of %s and cannot shrink to %s", name, FormatSize(limit), FormatSize(size)).
			WithHint("create a smaller one with --size, and copy its data there")
	}
	return nil
}
