package agent

import (
	"context"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

const (
	// The disk is looked at every so often.
	diskLook = 5 * time.Second
	// It is full when less than one part in lowShare is free, or less than
	// lowBytes where that is much.
	lowShare = 20
	lowBytes = 10 << 30
	// roomPause is how long who needs room waits for what makes room.
	roomPause = 100 * time.Millisecond
)

func (s space) low() bool { return s.free < min(s.total/lowShare, lowBytes) }

// watchDisk warns when the disk is nearly full, and removes what is in the trash
// early while it is full, until ctx ends.
func (a *Agent) watchDisk(ctx context.Context) {
	tick := time.NewTicker(diskLook)
	defer tick.Stop()
	warned := false
	for {
		disk, err := a.disk()
		if err != nil {
			a.log.Warn("the disk cannot be measured", "error", err)
		} else if full := spec.NearlyFull(disk.total-disk.free, disk.total, warned); full != warned {
			if warned = full; full {
				a.event(spec.KindNode, nil, "disk-nearly-full", fmt.Sprintf("%s of the disk's %s are free", spec.FormatSize(disk.free), spec.FormatSize(disk.total)))
			}
		}
		if err == nil && disk.low() {
			a.makeRoom()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// makeRoom lets the volume go that is in the trash for longest, unless one is
// on its way already. Nothing goes that is there for less than LeastTrashTime.
// It tells whether there will be more room.
func (a *Agent) makeRoom() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	oldest, going := a.oldestTrash()
	if going || oldest == nil {
		return going
	}
	oldest.discarded.Store(true)
	want, _ := oldest.current()
	text := fmt.Sprintf("volume %s leaves the trash early, since the disk of this node is full", want.GetMeta().GetName())
	if disk, err := a.disk(); err == nil {
		text += fmt.Sprintf(": %s of %s are free", spec.FormatSize(disk.free), spec.FormatSize(disk.total))
	}
	a.event(spec.KindVolume, want.GetMeta(), "discarded", text)
	oldest.poke()
	return true
}

// oldestTrash returns the volume that is in the trash for longest and may leave
// it; going when one is leaving. Needs a.mu.
func (a *Agent) oldestTrash() (oldest *keeper, going bool) {
	since := time.Now().Add(-spec.LeastTrashTime)
	for _, k := range a.volumes {
		want, _ := k.current()
		if want.GetDeletedAt() == nil || k.status.Load().GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_TRASHED {
			continue
		}
		if k.discarded.Load() {
			return nil, true
		}
		if at := want.GetDeletedAt().AsTime(); at.Before(since) {
			oldest, since = k, at
		}
	}
	return oldest, false
}
