package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/volume"
)

// keeper makes one assigned volume be there, or be gone. Its fields belong to
// its goroutine, but for the order, the lock and the status.
type keeper struct {
	order[*warrenv1.Volume]
	a  *Agent
	id string
	// use is held while a task takes the volume or gives it back, and while
	// it is deleted.
	use sync.Mutex
	// reporting guards against losing one of two changes of the status.
	reporting sync.Mutex
	status    atomic.Pointer[warrenv1.VolumeStatus]
	failures  int
	retryAt   time.Time
	goal      goal
	// discarded: the disk is full, and what is in the trash goes early.
	discarded atomic.Bool
}

// goal is what is to become of a volume's data.
type goal int

const (
	keepData goal = iota
	trashData
	removeData
)

func (k *keeper) wanted(want *warrenv1.Volume) goal {
	switch {
	case want.GetDeletedAt() == nil:
		return keepData
	case want.GetPurge() || k.discarded.Load():
		return removeData
	}
	return trashData
}

func newKeeper(a *Agent, want *warrenv1.Volume) *keeper {
	k := &keeper{order: newOrder(want), a: a, id: want.GetMeta().GetId()}
	k.status.Store(&warrenv1.VolumeStatus{VolumeId: k.id, NodeId: want.GetNodeId()})
	return k
}

func (k *keeper) run(ctx context.Context) { k.follow(ctx, k.step) }

// step does the next thing for the volume.
func (k *keeper) step(ctx context.Context) outcome {
	want, removed := k.current()
	phase := k.status.Load().GetPhase()
	if goal := k.wanted(want); goal != k.goal {
		k.goal, k.failures, k.retryAt = goal, 0, time.Time{}
	}
	switch {
	case removed && k.a.holders.any(k.id):
		return outcome{verdict: wait} // released() pokes
	case removed:
		return k.forget()
	case phase == warrenv1.VolumePhase_VOLUME_PHASE_GONE && k.goal != keepData,
		phase == warrenv1.VolumePhase_VOLUME_PHASE_TRASHED && k.goal == trashData:
		return outcome{verdict: wait}
	case time.Now().Before(k.retryAt):
		return retryAfter(time.Until(k.retryAt))
	case k.goal == removeData:
		return k.delete(ctx)
	case k.goal == trashData:
		return k.putAside(ctx)
	case phase != warrenv1.VolumePhase_VOLUME_PHASE_READY:
		return k.ensure(ctx)
	case k.toRestore(want) != nil:
		return k.restore(ctx, k.toRestore(want))
	case want.GetSpec().GetSizeBytes() > k.status.Load().GetLimitBytes():
		return k.resize(ctx, want.GetSpec().GetSizeBytes())
	}
	return outcome{verdict: wait}
}

// ensure creates the volume, once in its life: what vanished later is never
// replaced by an empty one.
func (k *keeper) ensure(ctx context.Context) outcome {
	made, err := k.a.state.made(k.id)
	if err != nil {
		return k.fail(ctx, err)
	}
	path, err := k.path(ctx, made)
	if err != nil {
		return k.fail(ctx, err)
	}
	k.failures = 0
	k.report(func(s *warrenv1.VolumeStatus) {
		s.Phase, s.Message, s.MountPoint = warrenv1.VolumePhase_VOLUME_PHASE_READY, "", path
	})
	k.discarded.Store(false)
	if !made {
		if err := k.a.state.setMade(k.id); err != nil {
			k.a.log.Error("that the volume was made was not written down", "volume", k.id, "error", err)
		}
		k.a.meter.Poke()
	}
	k.wakeTasks()
	return outcome{verdict: done}
}

// wakeTasks lets tasks look again at a volume that they may wait for.
func (k *keeper) wakeTasks() {
	k.a.mu.Lock()
	defer k.a.mu.Unlock()
	k.a.wakeAll()
}

// path returns where the volume is reachable, having made it or seen that it
// is there.
func (k *keeper) path(ctx context.Context, made bool) (string, error) {
	k.use.Lock()
	defer k.use.Unlock()
	if !made {
		if _, err := k.a.cfg.Volumes.Ensure(ctx, k.volume()); err != nil {
			return "", err
		}
	} else if err := k.a.cfg.Volumes.Untrash(ctx, k.volume()); err != nil {
		return "", err
	}
	path, err := k.a.cfg.Volumes.Stage(ctx, k.volume())
	if err != nil || k.a.holders.any(k.id) {
		return path, err
	}
	return path, k.a.cfg.Volumes.Unstage(ctx, k.volume())
}

// putAside moves the volume's data to the trash once no task here holds it. Of
// data that is lost, or storage that has no trash, nothing is left to keep.
func (k *keeper) putAside(ctx context.Context) outcome {
	k.use.Lock()
	defer k.use.Unlock()
	if k.a.holders.any(k.id) {
		return outcome{verdict: wait} // released() pokes
	}
	if err := k.a.cfg.Volumes.Unstage(ctx, k.volume()); err != nil {
		return k.fail(ctx, err)
	}
	err := k.a.cfg.Volumes.Trash(ctx, k.volume())
	if errors.Is(err, volume.ErrNotFound) || errors.Is(err, volume.ErrUnsupported) {
		k.discarded.Store(true)
		return outcome{verdict: done}
	}
	if err != nil {
		return k.fail(ctx, err)
	}
	k.failures = 0
	k.report(func(s *warrenv1.VolumeStatus) {
		s.Phase, s.Message, s.MountPoint = warrenv1.VolumePhase_VOLUME_PHASE_TRASHED, "", ""
	})
	return outcome{verdict: done}
}

// resize gives the volume the limit that it shall have, and says why not when
// that cannot be. The volume goes on with the one it has.
func (k *keeper) resize(ctx context.Context, size uint64) outcome {
	k.use.Lock()
	defer k.use.Unlock()
	limit, err := k.a.cfg.Volumes.Resize(ctx, k.volume())
	switch {
	case ctx.Err() != nil:
		return outcome{verdict: done}
	case errors.Is(err, unix.ENOSPC) && k.a.makeRoom():
		return retryAfter(roomPause)
	}
	k.report(func(s *warrenv1.VolumeStatus) {
		s.LimitBytes, s.ResizeBytes, s.ResizeMessage = max(limit, s.GetLimitBytes()), size, ""
		if err != nil {
			s.ResizeMessage = err.Error()
		}
	})
	if err != nil {
		k.failures++
		wait := backoff(k.failures)
		k.retryAt = time.Now().Add(wait)
		k.a.log.Warn("volume keeps its limit and is tried again later", "error", err, "retry_in", wait)
		return retryAfter(wait)
	}
	k.failures = 0
	k.a.meter.Poke()
	return outcome{verdict: done}
}

// delete removes the volume's data once no task here holds it.
func (k *keeper) delete(ctx context.Context) outcome {
	k.use.Lock()
	defer k.use.Unlock()
	if k.a.holders.any(k.id) {
		return outcome{verdict: wait} // released() pokes
	}
	if err := k.a.cfg.Volumes.Unstage(ctx, k.volume()); err != nil {
		return k.fail(ctx, err)
	}
	if err := k.a.cfg.Volumes.Delete(ctx, k.volume()); err != nil {
		return k.fail(ctx, err)
	}
	k.failures = 0
	k.report(func(s *warrenv1.VolumeStatus) {
		s.Phase, s.Message = warrenv1.VolumePhase_VOLUME_PHASE_GONE, ""
	})
	return outcome{verdict: done}
}

func (k *keeper) fail(ctx context.Context, err error) outcome {
	if ctx.Err() != nil {
		return outcome{verdict: done}
	}
	if errors.Is(err, unix.ENOSPC) && k.a.makeRoom() {
		return retryAfter(roomPause)
	}
	k.failures++
	wait := backoff(k.failures)
	k.retryAt = time.Now().Add(wait)
	k.a.log.Warn("volume is tried again later", "error", err, "retry_in", wait)
	k.report(func(s *warrenv1.VolumeStatus) {
		s.Phase, s.Message = warrenv1.VolumePhase_VOLUME_PHASE_FAILED, err.Error()
	})
	k.wakeTasks() // which say why they wait
	return retryAfter(wait)
}

// forget ends a volume that is assigned no longer. Its data, if there still is
// any, stays.
func (k *keeper) forget() outcome {
	if err := k.a.state.forgetVolume(k.id); err != nil {
		k.a.log.Error("the volume's record was not removed", "volume", k.id, "error", err)
	}
	k.a.mu.Lock()
	want, removed := k.current()
	if removed {
		delete(k.a.volumes, k.id)
	}
	k.a.mu.Unlock()
	if removed {
		return outcome{verdict: dead}
	}
	// Assigned again meanwhile: whether it was made is asked of its driver.
	if err := k.a.state.assign(nil, []*warrenv1.Volume{want}); err != nil {
		k.a.log.Error("the assignment was not written down", "volume", k.id, "error", err)
	}
	k.reporting.Lock()
	defer k.reporting.Unlock()
	k.status.Store(&warrenv1.VolumeStatus{VolumeId: k.id, NodeId: want.GetNodeId()})
	return outcome{verdict: done}
}

func (k *keeper) report(change func(*warrenv1.VolumeStatus)) {
	k.reporting.Lock()
	defer k.reporting.Unlock()
	old := k.status.Load()
	status := proto.Clone(old).(*warrenv1.VolumeStatus)
	change(status)
	if !proto.Equal(old, status) {
		k.status.Store(status)
		k.a.outbox.volume(status)
	}
}

// repeat reports the status once more, to a manager that may not have it.
func (k *keeper) repeat() {
	k.reporting.Lock()
	defer k.reporting.Unlock()
	if s := k.status.Load(); s.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_UNSPECIFIED {
		k.a.outbox.volume(s)
	}
}

// volume names it to a driver.
func (k *keeper) volume() volume.Volume {
	want, _ := k.current()
	return volume.Volume{
		ID: k.id, Namespace: want.GetMeta().GetNamespace(), Name: want.GetMeta().GetName(),
		Driver: want.GetSpec().GetDriver(), Options: want.GetSpec().GetOptions(),
		SizeBytes: want.GetSpec().GetSizeBytes(), Source: want.GetFromSnapshotId(),
	}
}

// usable returns the volume if a task may take it now. Needs use.
func (k *keeper) usable() (volume.Volume, error) {
	want, removed := k.current()
	name := want.GetMeta().GetName()
	switch s := k.status.Load(); {
	case removed || want.GetDeletedAt() != nil:
		return volume.Volume{}, waiting("volume " + name + " is being deleted")
	case s.GetPhase() == warrenv1.VolumePhase_VOLUME_PHASE_FAILED:
		return volume.Volume{}, waiting(s.GetMessage())
	case k.toRestore(want) != nil:
		return volume.Volume{}, waiting("volume " + name + " is being restored")
	case s.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_READY:
		return volume.Volume{}, waiting("volume " + name + " is being made")
	}
	return k.volume(), nil
}

// mountedBy reports that a container was started with a volume.
func (a *Agent) mountedBy(volumeID, task string) {
	a.mu.Lock()
	k := a.volumes[volumeID]
	a.mu.Unlock()
	if k != nil {
		k.report(func(s *warrenv1.VolumeStatus) { s.LastMountedBy, s.LastMountedAt = task, timestamppb.Now() })
	}
}

// keeper returns the one of a pinned volume.
func (a *Agent) keeper(pin *warrenv1.VolumePin) (*keeper, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.volumes[pin.GetVolumeId()]; k != nil {
		return k, nil
	}
	return nil, waiting("volume " + pin.GetVolume() + " is not assigned to this node")
}

// released lets volumes that are to be deleted look again for holders.
func (a *Agent) released() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.volumes {
		k.poke()
	}
}
