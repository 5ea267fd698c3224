package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Volume is a volume and where it is.
type Volume struct {
	Meta
	Driver     string            `json:"driver"`
	Options    map[string]string `json:"options"`
	Access     string            `json:"access"`
	State      string            `json:"state"`
	Message    string            `json:"message,omitempty"`
	MountPoint string            `json:"mount_point"`
	Node       string            `json:"node"`
	NodeID     string            `json:"node_id"`
	// Size is what is used, in bytes; null before the first measurement.
	Size       *uint64   `json:"size"`
	MeasuredAt time.Time `json:"measured_at,omitzero"`
	UsedBy     []Usage   `json:"used_by"`
}

// NewVolume shows a volume.
func NewVolume(v *warrenv1.Volume) Volume {
	status := v.GetStatus()
	out := Volume{
		Meta:       newMeta(v.GetMeta()),
		Driver:     v.GetSpec().GetDriver(),
		Options:    whole(v.GetSpec().GetOptions()),
		Access:     spec.AccessModeName(v.GetSpec().GetAccess()),
		State:      spec.VolumePhaseName(status.GetPhase()),
		Message:    status.GetMessage(),
		MountPoint: status.GetMountPoint(),
		Node:       v.GetNodeName(),
		NodeID:     v.GetNodeId(),
		Size:       usedBytes(status),
		MeasuredAt: moment(status.GetMeasuredAt()),
		UsedBy:     usages(v.GetUsedBy()),
	}
	if v.GetDeletedAt() != nil {
		out.State = "deleting"
	}
	return out
}

func usedBytes(s *warrenv1.VolumeStatus) *uint64 {
	if s == nil {
		return nil
	}
	return s.UsedBytes
}
