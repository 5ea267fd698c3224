package store

import warrenv1 "github.com/cuemby/warren/api/warren/v1"

// Tables of snapshots, of what their nodes observed of them, and of when they
// are taken.
const (
	TableSnapshots      Table = "snapshot"
	TableSnapshotStatus Table = "snapshotstatus"
	TableSchedules      Table = "schedule"
	TableScheduleStatus Table = "schedulestatus"
)

var snapshots = &objectKind[warrenv1.Snapshot, *warrenv1.Snapshot]{
	noun: "snapshot",
	kind: kind[warrenv1.Snapshot, *warrenv1.Snapshot]{table: TableSnapshots, depth: 2, transient: func(s *warrenv1.Snapshot) {
		s.Status, s.NodeName = nil, ""
	}},
}

var snapshotStatus = &kind[warrenv1.SnapshotStatus, *warrenv1.SnapshotStatus]{table: TableSnapshotStatus, depth: 2}

var schedules = &kind[warrenv1.SnapshotSchedule, *warrenv1.SnapshotSchedule]{
	table: TableSchedules, depth: 2, transient: func(s *warrenv1.SnapshotSchedule) { s.Status = nil },
}

var scheduleStatus = &kind[warrenv1.ScheduleStatus, *warrenv1.ScheduleStatus]{table: TableScheduleStatus, depth: 2}

// Snapshots gives the snapshots: <namespace>, <id>.
func (tx *ReadTx) Snapshots() Objects[warrenv1.Snapshot, *warrenv1.Snapshot] {
	return objects(tx, snapshots)
}

// Snapshots gives the snapshots: <namespace>, <id>.
func (tx *Tx) Snapshots() ObjectsTx[warrenv1.Snapshot, *warrenv1.Snapshot] {
	return objectsTx(tx, snapshots)
}

// SnapshotStatus gives what was observed of them: <namespace>, <snapshot ID>.
func (tx *ReadTx) SnapshotStatus() Rows[warrenv1.SnapshotStatus, *warrenv1.SnapshotStatus] {
	return rows(tx, snapshotStatus)
}

// SnapshotStatus gives what was observed of them: <namespace>, <snapshot ID>.
func (tx *Tx) SnapshotStatus() RowsTx[warrenv1.SnapshotStatus, *warrenv1.SnapshotStatus] {
	return rowsTx(tx, snapshotStatus)
}

// Schedules gives the schedules: <namespace>, <volume ID>.
func (tx *ReadTx) Schedules() Rows[warrenv1.SnapshotSchedule, *warrenv1.SnapshotSchedule] {
	return rows(tx, schedules)
}

// Schedules gives the schedules: <namespace>, <volume ID>.
func (tx *Tx) Schedules() RowsTx[warrenv1.SnapshotSchedule, *warrenv1.SnapshotSchedule] {
	return rowsTx(tx, schedules)
}

// ScheduleStatus gives what became of their runs: <namespace>, <volume ID>.
func (tx *ReadTx) ScheduleStatus() Rows[warrenv1.ScheduleStatus, *warrenv1.ScheduleStatus] {
	return rows(tx, scheduleStatus)
}

// ScheduleStatus gives what became of their runs: <namespace>, <volume ID>.
func (tx *Tx) ScheduleStatus() RowsTx[warrenv1.ScheduleStatus, *warrenv1.ScheduleStatus] {
	return rowsTx(tx, scheduleStatus)
}
