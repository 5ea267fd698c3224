package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/volume"
)

const (
	// freezeLimit ends a freeze that nobody ended.
	freezeLimit = 15 * time.Second
	// hookLimit is how long a command before or after a snapshot may take.
	hookLimit = 5 * time.Minute
	// takeTries is how often a snapshot is tried whose volume was started to be
	// used in the middle.
	takeTries = 5
)

// errUsed: a container was started with the volume during the pause.
var errUsed = errors.New("a task was started with the volume meanwhile")

// taking is a snapshot while it is taken.
type taking struct {
	snapper *snapper
	keeper  *keeper
	capture volume.Capture
}

// capture takes snapshots of volumes in one instant, in which no task that
// holds any of them does anything.
func (a *Agent) capture(ctx context.Context, want *warrenv1.Snapshot, all []*snapper) (err error) {
	var takings []*taking
	defer func() {
		for _, t := range takings {
			if t.capture != nil {
				err = errors.Join(err, t.capture.Close())
			}
		}
	}()
	for _, s := range all {
		of, _ := s.current()
		k, err := a.keeper(&warrenv1.VolumePin{VolumeId: of.GetVolumeId(), Volume: of.GetVolume()})
		if err != nil {
			return err
		}
		s.report(func(r *warrenv1.SnapshotStatus) { r.Phase = warrenv1.SnapshotPhase_SNAPSHOT_PHASE_TAKING })
		takings = append(takings, &taking{snapper: s, keeper: k})
	}
	if err := a.hook(ctx, takings, "before", want.GetPre()); err != nil {
		return err
	}
	info, err := a.instant(ctx, takings)
	if after := a.hook(ctx, takings, "after", want.GetPost()); after != nil {
		info.Note = after.Error()
	}
	if err != nil {
		return err
	}
	for _, t := range takings {
		is, err := t.capture.Finish(ctx, info)
		if err != nil {
			return err
		}
		t.snapper.ready(is)
		t.snapper.poke()
	}
	return nil
}

// instant copies what can be copied while the tasks run, then the rest of all
// volumes while none of them does.
func (a *Agent) instant(ctx context.Context, takings []*taking) (info volume.Snapshot, err error) {
	used := false
	for _, t := range takings {
		v, err := t.keeper.available()
		if err != nil {
			return info, err
		}
		if t.capture, err = a.cfg.Volumes.Capture(ctx, v, t.snapper.id); err != nil {
			return info, err
		}
		used = used || a.holders.any(v.ID)
	}
	if used {
		for _, t := range takings {
			if err := t.capture.Follow(ctx); err != nil {
				return info, err
			}
		}
	}
	for range takeTries {
		info, err = a.pause(ctx, takings)
		if !errors.Is(err, errUsed) {
			break
		}
	}
	return info, err
}

// pause freezes whoever holds the volumes, and takes the snapshots.
func (a *Agent) pause(ctx context.Context, takings []*taking) (info volume.Snapshot, err error) {
	holders := a.holdersOf(takings)
	info.TakenAt = time.Now()
	frozen, thaw, err := a.cfg.Runtime.Freeze(ctx, holders, freezeLimit)
	if err != nil {
		return info, err
	}
	for _, t := range takings {
		if err = t.capture.Take(ctx); err != nil {
			break
		}
	}
	if err == nil {
		err = a.nobodyElse(ctx, takings, frozen)
	}
	if late := thaw(); err == nil {
		err = late
	}
	if len(frozen) > 0 {
		info.Pause = time.Since(info.TakenAt)
	}
	return info, err
}

// nobodyElse makes sure that no container but the frozen ones has run.
func (a *Agent) nobodyElse(ctx context.Context, takings []*taking, frozen []string) error {
	for _, id := range a.holdersOf(takings) {
		if slices.Contains(frozen, id) {
			continue
		}
		status, err := a.cfg.Runtime.Status(ctx, id)
		if errors.Is(err, runtime.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if status.Running {
			return errUsed
		}
	}
	return nil
}

// holdersOf lists the tasks that hold any of the volumes.
func (a *Agent) holdersOf(takings []*taking) []string {
	var ids []string
	for _, t := range takings {
		ids = append(ids, a.holders.of(t.keeper.id)...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// hook runs a command in a running task that holds one of the volumes. What it
// prints is kept nowhere: it may be a secret.
func (a *Agent) hook(ctx context.Context, takings []*taking, when, command string) error {
	if command == "" {
		return nil
	}
	for _, id := range a.holdersOf(takings) {
		status, err := a.cfg.Runtime.Status(ctx, id)
		if err != nil || !status.Running {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, hookLimit)
		defer cancel()
		code, err := a.cfg.Runtime.Exec(ctx, id, runtime.Exec{Args: []string{"sh", "-c", command}})
		if err != nil {
			return fmt.Errorf("the command %s the snapshot does not run in task %s: %w", when, id, err)
		}
		if code != 0 {
			return fmt.Errorf("the command %s the snapshot exited with code %d in task %s", when, code, id)
		}
		return nil
	}
	return fmt.Errorf("no task runs in which the command %s the snapshot could", when)
}

// available returns the volume if its data can be read now.
func (k *keeper) available() (volume.Volume, error) {
	k.use.Lock()
	defer k.use.Unlock()
	return k.usable()
}

// of lists the tasks that hold a volume.
func (h *holders) of(volumeID string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []string
	for id := range h.by[volumeID] {
		ids = append(ids, id)
	}
	return ids
}
