package store

import warrenv1 "github.com/cuemby/warren/api/warren/v1"

// Tables of volumes and of what their nodes observed of them.
const (
	TableVolumes      Table = "volume"
	TableVolumeStatus Table = "volumestatus"
)

var volumes = &objectKind[warrenv1.Volume, *warrenv1.Volume]{
	noun: "volume",
	kind: kind[warrenv1.Volume, *warrenv1.Volume]{table: TableVolumes, depth: 2, transient: func(v *warrenv1.Volume) {
		v.Status, v.NodeName, v.UsedBy, v.Schedule = nil, "", nil, nil
	}},
}

var volumeStatus = &kind[warrenv1.VolumeStatus, *warrenv1.VolumeStatus]{table: TableVolumeStatus, depth: 2}

// Volumes gives the volumes: <namespace>, <id>.
func (tx *ReadTx) Volumes() Objects[warrenv1.Volume, *warrenv1.Volume] { return objects(tx, volumes) }

// Volumes gives the volumes: <namespace>, <id>.
func (tx *Tx) Volumes() ObjectsTx[warrenv1.Volume, *warrenv1.Volume] { return objectsTx(tx, volumes) }

// VolumeStatus gives what was observed of volumes: <namespace>, <volume ID>.
func (tx *ReadTx) VolumeStatus() Rows[warrenv1.VolumeStatus, *warrenv1.VolumeStatus] {
	return rows(tx, volumeStatus)
}

// VolumeStatus gives what was observed of volumes: <namespace>, <volume ID>.
func (tx *Tx) VolumeStatus() RowsTx[warrenv1.VolumeStatus, *warrenv1.VolumeStatus] {
	return rowsTx(tx, volumeStatus)
}
