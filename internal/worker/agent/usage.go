package agent

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/volume"
)

// measurable lists the volumes that the meter measures.
func (a *Agent) measurable() []volume.Volume {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []volume.Volume
	for _, k := range a.volumes {
		switch k.status.Load().GetPhase() {
		case warrenv1.VolumePhase_VOLUME_PHASE_READY, warrenv1.VolumePhase_VOLUME_PHASE_TRASHED:
			list = append(list, k.volume())
		}
	}
	return list
}

// measured takes a size from the meter.
func (a *Agent) measured(m volume.Measured) {
	a.mu.Lock()
	k := a.volumes[m.Volume.ID]
	a.mu.Unlock()
	if k == nil {
		return
	}
	k.report(func(s *warrenv1.VolumeStatus) {
		if s.UsedBytes == nil || *s.UsedBytes != m.Bytes {
			s.UsedBytes, s.MeasuredAt = &m.Bytes, timestamppb.New(m.At)
		}
		s.CapacityBytes = m.Capacity
		s.NearlyFull = spec.NearlyFull(m.Bytes, m.Capacity, s.NearlyFull)
	})
}
