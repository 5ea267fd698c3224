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
	// Limit is the most that it can hold, in bytes; Capacity, of that, what is
	// left of it for data. Both are absent without a limit.
	Limit    uint64 `json:"limit,omitempty"`
	Capacity uint64 `json:"capacity,omitempty"`
	// Resize says why the limit could not be raised.
	Resize        string    `json:"resize_message,omitempty"`
	LastMountedBy string    `json:"last_mounted_by,omitempty"`
	LastMountedAt time.Time `json:"last_mounted_at,omitzero"`
	UsedBy        []Usage   `json:"used_by"`
	// Schedule says when snapshots are taken; absent without one.
	Schedule *Schedule `json:"schedule,omitempty"`
	// Of one in the trash: since when it is there, and until when.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
	PurgeAt   time.Time `json:"purge_at,omitzero"`
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
		Limit:      v.GetSpec().GetSizeBytes(),
		Capacity:   status.GetCapacityBytes(),
		UsedBy:     usages(v.GetUsedBy()),

		LastMountedBy: status.GetLastMountedBy(),
		LastMountedAt: moment(status.GetLastMountedAt()),
	}
	if status.GetLimitBytes() != out.Limit {
		out.Resize = status.GetResizeMessage()
	}
	if v.GetSchedule() != nil {
		out.Schedule = newSchedule(v.GetSchedule())
	}
	if v.GetDeletedAt() != nil {
		out.State = "deleting"
		out.DeletedAt, out.PurgeAt = moment(v.GetDeletedAt()), moment(v.GetPurgeAt())
	}
	if spec.InTrash(v) {
		out.State = "trashed"
	}
	return out
}

func usedBytes(s *warrenv1.VolumeStatus) *uint64 {
	if s == nil {
		return nil
	}
	return s.UsedBytes
}
