package dispatch

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// putSnapshotStatus records what a node says of a snapshot that is on it. That
// one is gone counts only if its deletion was asked for.
func (t *term) putSnapshotStatus(tx *store.Tx, nodeID string, s *warrenv1.SnapshotStatus) error {
	key, ok := t.index.snapshotOf(nodeID, s.GetSnapshotId())
	if !ok {
		t.refuse(nodeID, spec.KindSnapshot, s.GetSnapshotId())
		return nil
	}
	snapshot, err := tx.Snapshots().Get(key.Parts()...)
	if err != nil {
		return unlessNotFound(err)
	}
	gone := s.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_GONE
	if snapshot.GetNodeId() != nodeID || gone && snapshot.GetDeletedAt() == nil {
		t.refuse(nodeID, spec.KindSnapshot, s.GetSnapshotId())
		return nil
	}
	was, err := tx.SnapshotStatus().Peek(key.Parts()...)
	if unlessNotFound(err) != nil {
		return err
	}
	is := proto.CloneOf(s)
	is.NodeId = nodeID
	if proto.Equal(was, is) {
		return nil
	}
	if err := tx.SnapshotStatus().Put(is, key.Parts()...); err != nil {
		return err
	}
	if e := snapshotEvent(snapshot, was, is); e != nil {
		return tx.Events().Append(e)
	}
	return nil
}

// snapshotEvent says what a new status of a snapshot means to a person; nil
// when nothing.
func snapshotEvent(snapshot *warrenv1.Snapshot, was, is *warrenv1.SnapshotStatus) *warrenv1.Event {
	if was.GetPhase() == is.GetPhase() {
		return nil
	}
	switch is.GetPhase() {
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY:
		message := "of volume " + snapshot.GetVolume()
		if is.GetPause() != nil {
			message += ", whose tasks were frozen for " + spec.FormatPause(is.GetPause().AsDuration())
		}
		return about(spec.KindSnapshot, snapshot.GetMeta(), timestamppb.Now(), "taken", message)
	case warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED:
		return about(spec.KindSnapshot, snapshot.GetMeta(), timestamppb.Now(), "failed",
			"of volume "+snapshot.GetVolume()+": "+is.GetMessage())
	}
	return nil
}
