package agent

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/volume"
)

// toRestore returns the restore that is to be done; nil when there is none, or
// it is over.
func (k *keeper) toRestore(want *warrenv1.Volume) *warrenv1.RestoreOrder {
	if r := want.GetRestore(); r.GetId() != k.status.Load().GetRestoreId() {
		return r
	}
	return nil
}

// restore gives the volume the content of a snapshot once no task here holds
// it. One that fails is over too: the volume is as it was, and its services
// come back.
func (k *keeper) restore(ctx context.Context, r *warrenv1.RestoreOrder) outcome {
	k.use.Lock()
	defer k.use.Unlock()
	if k.a.holders.any(k.id) {
		return outcome{verdict: wait} // released() pokes
	}
	err := k.a.cfg.Volumes.Restore(ctx, k.volume(), volume.Restore{ID: r.GetId(), Snapshot: r.GetSnapshotId(), Keep: r.GetKeepId()})
	if ctx.Err() != nil {
		return outcome{verdict: done}
	}
	k.report(func(s *warrenv1.VolumeStatus) {
		s.RestoreId, s.RestoreMessage = r.GetId(), ""
		if err != nil {
			s.RestoreMessage = err.Error()
		}
	})
	if err != nil {
		k.a.log.Error("volume was not restored", "error", err)
	}
	k.a.lookAtSnapshots()
	k.a.meter.Poke()
	k.wakeTasks()
	return outcome{verdict: done}
}
