package dispatch

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// One transaction takes at most maxBatch statuses and events, and, in bytes,
// maxBatchBytes.
const (
	maxBatch      = 256
	maxBatchBytes = 256 << 10
)

// report is what one session sent.
type report struct {
	session *session
	*warrenv1.Report
}

func (r report) entries() int {
	return len(r.Tasks) + len(r.Volumes) + len(r.Snapshots) + len(r.Events)
}

// commitReports writes what workers report, as many reports at once as came
// while the transaction before was on its way: a lone one is written at once,
// and a thousand cost a few transactions.
func (t *term) commitReports(ctx context.Context) error {
	var next *report
	for {
		batch, entries, bytes := []report{}, 0, 0
		if next == nil {
			select {
			case r := <-t.reports:
				next = &r
			case <-ctx.Done():
				return nil
			}
		}
		for next != nil && (len(batch) == 0 || entries+next.entries() <= maxBatch && bytes+proto.Size(next.Report) <= maxBatchBytes) {
			batch = append(batch, *next)
			entries, bytes = entries+next.entries(), bytes+proto.Size(next.Report)
			next = nil
			select {
			case r := <-t.reports:
				next = &r
			default:
			}
		}
		t.commit(ctx, batch)
	}
}

// commit writes a batch and acknowledges it, or ends its sessions: their
// workers will say it again in the next.
func (t *term) commit(ctx context.Context, batch []report) {
	err := t.write(ctx, batch, false)
	if errors.Is(err, store.ErrDiskFull) {
		// What ended must be known all the same: it is what frees space.
		if endsErr := t.write(ctx, batch, true); endsErr != nil {
			err = endsErr
		}
	}
	for _, r := range batch {
		if err != nil {
			r.session.end(status.Errorf(codes.Unavailable, "the report could not be recorded: %v", err))
			continue
		}
		r.session.post(func(o *outbox) { o.acknowledged = append(o.acknowledged, r.Sequence) })
	}
	if err != nil && ctx.Err() == nil {
		t.Log.Error("recording reports of workers failed; they send them again", "reports", len(batch), "error", err)
	}
}

// write makes one transaction of a batch; with endsOnly, of those statuses that
// say that something ended.
func (t *term) write(ctx context.Context, batch []report, endsOnly bool) error {
	return t.Store.Update(ctx, func(tx *store.Tx) error {
		if endsOnly {
			tx.Reclaim()
		}
		for _, r := range batch {
			for _, s := range r.Tasks {
				if endsOnly && !spec.Terminal(s.GetState()) {
					continue
				}
				if err := t.putTaskStatus(tx, r.session.nodeID, s); err != nil {
					return err
				}
			}
			for _, s := range r.Volumes {
				if endsOnly && s.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_GONE && s.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_TRASHED {
					continue
				}
				if err := t.putVolumeStatus(tx, r.session.nodeID, s); err != nil {
					return err
				}
			}
			for _, s := range r.Snapshots {
				if endsOnly && s.GetPhase() != warrenv1.SnapshotPhase_SNAPSHOT_PHASE_GONE {
					continue
				}
				if err := t.putSnapshotStatus(tx, r.session.nodeID, s); err != nil {
					return err
				}
			}
			for _, e := range r.Events {
				if endsOnly {
					break
				}
				if err := appendEvent(tx, r.session.nodeID, e); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// putTaskStatus records what a node says of a task, unless the task is not
// that node's or what it says is older than what is known.
func (t *term) putTaskStatus(tx *store.Tx, nodeID string, s *warrenv1.TaskStatus) error {
	key, ok := t.index.taskOf(nodeID, s.GetTaskId())
	if !ok {
		t.refuse(nodeID, "task", s.GetTaskId())
		return nil
	}
	task, err := tx.Tasks().Get(key.Parts()...)
	if err != nil {
		return unlessNotFound(err)
	}
	if task.GetNodeId() != nodeID {
		t.refuse(nodeID, "task", s.GetTaskId())
		return nil
	}
	was, err := tx.TaskStatus().Peek(key.Parts()...)
	if unlessNotFound(err) != nil {
		return err
	}
	if !spec.MayFollow(was.GetState(), s.GetState()) {
		return nil
	}
	is := keepExit(was, s)
	if proto.Equal(was, is) {
		return nil
	}
	if err := tx.TaskStatus().Put(is, key.Parts()...); err != nil {
		return err
	}
	if e := taskEvent(task, was, is); e != nil {
		return tx.Events().Append(e)
	}
	return nil
}

// keepExit returns the new status with the last known exit, if it tells none
// itself: how a container ended stays visible until the next one ends.
func keepExit(was, is *warrenv1.TaskStatus) *warrenv1.TaskStatus {
	is = proto.CloneOf(is)
	if is.ExitCode == nil && was != nil && was.ExitCode != nil {
		is.ExitCode, is.ExitReason = was.ExitCode, was.ExitReason
		if is.FinishedAt == nil {
			is.FinishedAt = was.FinishedAt
		}
	}
	if is.StateSince == nil {
		is.StateSince = timestamppb.Now()
	}
	return is
}

// putVolumeStatus records what a node says of a volume that is on it. That a
// volume is gone counts only if its deletion was asked for.
func (t *term) putVolumeStatus(tx *store.Tx, nodeID string, s *warrenv1.VolumeStatus) error {
	key, ok := t.index.volumeOf(nodeID, s.GetVolumeId())
	if !ok {
		t.refuse(nodeID, "volume", s.GetVolumeId())
		return nil
	}
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil {
		return unlessNotFound(err)
	}
	gone := s.GetPhase() == warrenv1.VolumePhase_VOLUME_PHASE_GONE
	if volume.GetNodeId() != nodeID || gone && volume.GetDeletedAt() == nil {
		t.refuse(nodeID, "volume", s.GetVolumeId())
		return nil
	}
	was, err := tx.VolumeStatus().Peek(key.Parts()...)
	if unlessNotFound(err) != nil {
		return err
	}
	is := keepKnown(was, s)
	is.NodeId = nodeID
	if proto.Equal(was, is) {
		return nil
	}
	if err := tx.VolumeStatus().Put(is, key.Parts()...); err != nil {
		return err
	}
	if e := volumeEvent(volume, was, is); e != nil {
		return tx.Events().Append(e)
	}
	return nil
}

// keepKnown returns the new status with what a worker does not remember when it
// starts anew: who mounted the volume last, and how full it was.
func keepKnown(was, is *warrenv1.VolumeStatus) *warrenv1.VolumeStatus {
	is = proto.CloneOf(is)
	if is.LastMountedAt == nil {
		is.LastMountedAt, is.LastMountedBy = was.GetLastMountedAt(), was.GetLastMountedBy()
	}
	if is.UsedBytes == nil && was != nil {
		is.UsedBytes, is.CapacityBytes, is.MeasuredAt, is.NearlyFull = was.UsedBytes, was.CapacityBytes, was.MeasuredAt, was.NearlyFull
	}
	return is
}

// refuse drops what a worker says of an object that it has no say in. It is
// acknowledged like the rest: saying it again would change nothing.
func (t *term) refuse(nodeID, kind, id string) {
	t.Log.Warn("ignored a report of something that is not this node's", "node", nodeID, "kind", kind, "id", id)
}
