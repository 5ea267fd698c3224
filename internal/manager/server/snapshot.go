package server

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type snapshots struct {
	warrenv1.UnimplementedSnapshotsServer
	*Server
}

var snapshotTables = []store.Table{store.TableSnapshots, store.TableSnapshotStatus, store.TableNodeStatus}

// GetSnapshot returns one snapshot with what its node says of it.
func (s *snapshots) GetSnapshot(ctx context.Context, ref *warrenv1.Ref) (snapshot *warrenv1.Snapshot, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		if snapshot, err = findSnapshot(tx.Snapshots(), ref); err != nil {
			return err
		}
		return fillSnapshot(tx, snapshot)
	})
	return snapshot, err
}

// ListSnapshots lists the snapshots of a namespace, or of one volume.
func (s *snapshots) ListSnapshots(ctx context.Context, r *warrenv1.ListSnapshotsRequest) (*warrenv1.ListSnapshotsResponse, error) {
	namespace, err := checkFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	out := &warrenv1.ListSnapshotsResponse{}
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		of := ""
		if r.GetVolume() != "" {
			volume, err := find(tx.Volumes(), spec.KindVolume, &warrenv1.Ref{Namespace: namespace, NameOrId: r.GetVolume()})
			if err != nil {
				return err
			}
			of = volume.GetMeta().GetId()
		}
		for _, snapshot := range tx.Snapshots().List(namespace) {
			if of != "" && snapshot.GetVolumeId() != of || !spec.MatchLabels(snapshot.GetMeta().GetLabels(), r.GetFilter().GetLabels()) {
				continue
			}
			if err := fillSnapshot(tx, snapshot); err != nil {
				return err
			}
			out.Snapshots = append(out.Snapshots, snapshot)
		}
		return nil
	})
	return out, err
}

// DeleteSnapshot removes a snapshot and returns once its node has confirmed it.
func (s *snapshots) DeleteSnapshot(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.Snapshot, error) {
	var snapshot *warrenv1.Snapshot
	id, err := s.commit(ctx, func(tx *store.Tx) (_ string, err error) {
		if snapshot, err = findSnapshot(tx.Snapshots(), ref); err != nil {
			return "", err
		}
		if err := notNeeded(tx, snapshot); err != nil {
			return "", err
		}
		return snapshot.GetMeta().GetId(), s.dropSnapshot(tx, snapshot)
	})
	if err != nil {
		return nil, err
	}
	if snapshot == nil { // the request was done before
		snapshot = &warrenv1.Snapshot{Meta: &warrenv1.Meta{
			Id: id, Name: ref.GetNameOrId(), Namespace: spec.Namespace(ref.GetNamespace())}}
	}
	return snapshot, s.awaitGone(ctx, snapshotGoingAway(snapshot))
}

// dropSnapshot asks for a snapshot's end.
func (s *Server) dropSnapshot(tx *store.Tx, snapshot *warrenv1.Snapshot) error {
	tx.Reclaim()
	if snapshot.GetDeletedAt() == nil {
		snapshot.DeletedAt = s.now()
	}
	return tx.Snapshots().Put(snapshot)
}

// notNeeded refuses to remove a snapshot that a restore or a clone is made of.
func notNeeded(tx *store.Tx, snapshot *warrenv1.Snapshot) error {
	m := snapshot.GetMeta()
	for key, volume := range tx.Volumes().List(m.GetNamespace()) {
		doing := ""
		if r := volume.GetRestore(); r.GetSnapshotId() == m.GetId() || r.GetKeepId() == m.GetId() {
			doing = "restored"
		}
		if volume.GetFromSnapshotId() == m.GetId() && volume.GetDeletedAt() == nil {
			status, err := optional(tx.VolumeStatus().Peek(key.Parts()...))
			if err != nil {
				return err
			}
			if status.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_READY {
				doing = "made of it"
			}
		}
		if doing != "" {
			return spec.Problemf(spec.InUse, spec.KindSnapshot, m.GetName(), "snapshot %q is needed: volume %s is being %s", m.GetName(), volume.GetMeta().GetName(), doing).
				WithHint("try again in a moment")
		}
	}
	return nil
}

// findSnapshot is find with the way to list snapshots.
func findSnapshot(in table[*warrenv1.Snapshot], ref *warrenv1.Ref) (*warrenv1.Snapshot, error) {
	snapshot, err := find(in, spec.KindSnapshot, ref)
	if isNotFound(err) {
		return nil, spec.Problemf(spec.NotFound, spec.KindSnapshot, ref.GetNameOrId(), "snapshot %q does not exist", ref.GetNameOrId()).
			WithHint("warren volume snapshot list")
	}
	return snapshot, err
}

// fillSnapshot adds what is stored elsewhere.
func fillSnapshot(tx *store.ReadTx, snapshot *warrenv1.Snapshot) (err error) {
	m := snapshot.GetMeta()
	if snapshot.Status, err = optional(tx.SnapshotStatus().Peek(m.GetNamespace(), m.GetId())); err != nil {
		return err
	}
	snapshot.NodeName, err = nodeName(tx, snapshot.GetNodeId())
	return err
}

// snapshotGoingAway lets a call wait for a snapshot that is being deleted.
func snapshotGoingAway(snapshot *warrenv1.Snapshot) *goingAway {
	m := snapshot.GetMeta()
	return &goingAway{
		kind: spec.KindSnapshot, name: m.GetName(), tables: snapshotTables,
		gone: func(tx *store.ReadTx) (string, bool, error) {
			row, err := optional(tx.Snapshots().Get(m.GetNamespace(), m.GetId()))
			if err != nil || row == nil {
				return "", err == nil, err
			}
			status, err := optional(tx.SnapshotStatus().Get(m.GetNamespace(), m.GetId()))
			return fmt.Sprint(status.GetPhase(), status.GetMessage()), false, err
		},
		holdup: func(tx *store.ReadTx) (string, error) {
			node, err := nodeName(tx, snapshot.GetNodeId())
			if err != nil {
				return "", err
			}
			return fmt.Sprintf(": node %s has not removed it", node), nil
		},
	}
}
