package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/volume"
)

// snapper has one assigned snapshot taken, or removed. Nothing of it is written
// down: the driver knows which snapshots there are, and the manager which there
// are to be.
type snapper struct {
	order[*warrenv1.Snapshot]
	a         *Agent
	id        string
	reporting sync.Mutex
	status    atomic.Pointer[warrenv1.SnapshotStatus]
	failures  int
}

func newSnapper(a *Agent, want *warrenv1.Snapshot) *snapper {
	s := &snapper{order: newOrder(want), a: a, id: want.GetMeta().GetId()}
	s.status.Store(&warrenv1.SnapshotStatus{SnapshotId: s.id, NodeId: want.GetNodeId()})
	return s
}

func (s *snapper) run(ctx context.Context) { s.follow(ctx, s.step) }

// step does the next thing for the snapshot.
func (s *snapper) step(ctx context.Context) outcome {
	want, removed := s.current()
	phase := s.status.Load().GetPhase()
	switch {
	case removed:
		return s.forget()
	case want.GetDeletedAt() != nil && phase == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_GONE:
		return outcome{verdict: wait}
	case want.GetDeletedAt() != nil:
		return s.delete(ctx)
	case phase == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY, phase == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED:
		return outcome{verdict: wait}
	}
	is, err := s.a.cfg.Volumes.Snapshot(ctx, s.volume(), s.id)
	switch {
	case err == nil:
		s.ready(is)
		return outcome{verdict: done}
	case ctx.Err() != nil:
		return outcome{verdict: done}
	case !errors.Is(err, volume.ErrNotFound):
		s.fail(err)
		return outcome{verdict: done}
	case want.GetOrigin() == warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_RESTORE:
		return outcome{verdict: wait} // the volume's keeper makes it, and pokes
	}
	return s.take(ctx, want)
}

// take takes the snapshot with those that are taken in the same instant, which
// is the business of the first of them.
func (s *snapper) take(ctx context.Context, want *warrenv1.Snapshot) outcome {
	members := want.GetTogether()
	if len(members) == 0 {
		members = []string{s.id}
	}
	if slices.Min(members) != s.id {
		return outcome{verdict: wait}
	}
	all := make([]*snapper, len(members))
	s.a.mu.Lock()
	for i, id := range members {
		all[i] = s.a.snapshots[id]
	}
	s.a.mu.Unlock()
	if slices.Contains(all, nil) {
		return retryAfter(membersPause) // they are on their way
	}
	err := s.a.capture(ctx, want, all)
	if ctx.Err() != nil {
		return outcome{verdict: done}
	}
	if err != nil {
		for _, m := range all {
			m.fail(err)
		}
	}
	return outcome{verdict: done}
}

// membersPause is how long the other snapshots of an instant are waited for.
const membersPause = 20 * time.Millisecond

func (s *snapper) delete(ctx context.Context) outcome {
	if err := s.a.cfg.Volumes.DeleteSnapshot(ctx, s.volume(), s.id); err != nil {
		if ctx.Err() != nil {
			return outcome{verdict: done}
		}
		s.failures++
		pause := backoff(s.failures)
		s.a.log.Warn("snapshot is not removed yet", "snapshot", s.id, "error", err, "retry_in", pause)
		s.report(func(is *warrenv1.SnapshotStatus) { is.Message = err.Error() })
		return retryAfter(pause)
	}
	s.report(func(is *warrenv1.SnapshotStatus) {
		is.Phase, is.Message = warrenv1.SnapshotPhase_SNAPSHOT_PHASE_GONE, ""
	})
	return outcome{verdict: done}
}

// forget ends a snapshot that is assigned no longer.
func (s *snapper) forget() outcome {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if _, removed := s.current(); !removed {
		return outcome{verdict: done}
	}
	delete(s.a.snapshots, s.id)
	return outcome{verdict: dead}
}

func (s *snapper) ready(is volume.Snapshot) {
	s.report(func(r *warrenv1.SnapshotStatus) {
		r.Phase, r.Message = warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY, is.Note
		r.TakenAt, r.SizeBytes, r.Method = timestamppb.New(is.TakenAt), is.Bytes, is.Method
		r.Took = durationpb.New(is.Took)
		if is.Pause > 0 {
			r.Pause = durationpb.New(is.Pause)
		}
	})
}

// fail says that the snapshot was not taken. It is not tried again: its time
// is over, and whoever wants another asks for it.
func (s *snapper) fail(err error) {
	s.a.log.Warn("snapshot was not taken", "snapshot", s.id, "error", err)
	s.report(func(r *warrenv1.SnapshotStatus) {
		r.Phase, r.Message = warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED, err.Error()
	})
	s.poke()
}

func (s *snapper) report(change func(*warrenv1.SnapshotStatus)) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	old := s.status.Load()
	status := proto.CloneOf(old)
	change(status)
	if !proto.Equal(old, status) {
		s.status.Store(status)
		s.a.outbox.snapshot(status)
	}
}

// repeat reports the status once more, to a manager that may not have it.
func (s *snapper) repeat() {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	if is := s.status.Load(); is.GetPhase() != warrenv1.SnapshotPhase_SNAPSHOT_PHASE_UNSPECIFIED {
		s.a.outbox.snapshot(is)
	}
}

// volume names to a driver the volume that the snapshot is of, which may be no
// more.
func (s *snapper) volume() volume.Volume {
	want, _ := s.current()
	return volume.Volume{
		ID: want.GetVolumeId(), Namespace: want.GetMeta().GetNamespace(), Name: want.GetVolume(), Driver: want.GetDriver(),
	}
}

// assignSnapshots begins snapshots, tells them what is wanted now, and ends
// those that are assigned no longer. Needs a.mu.
func (a *Agent) assignSnapshots(change *warrenv1.Assignments) {
	keep := map[string]bool{}
	for _, want := range change.GetSnapshots() {
		id := want.GetMeta().GetId()
		keep[id] = true
		if s := a.snapshots[id]; s == nil {
			s = newSnapper(a, want)
			a.snapshots[id] = s
			a.running.Go(func() { s.run(a.ctx) })
		} else if !s.wants(want) {
			s.update(want)
		}
	}
	for id, s := range a.snapshots {
		if change.GetFull() && !keep[id] || slices.Contains(change.GetRemovedSnapshots(), id) {
			s.remove()
		}
	}
}

// lookAtSnapshots lets snapshots look again whether they are there.
func (a *Agent) lookAtSnapshots() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.snapshots {
		s.poke()
	}
}
