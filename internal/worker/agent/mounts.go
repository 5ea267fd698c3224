package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/volume"
)

// identity tells one directory from another at the same path.
type identity struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

// volumeHook has the task's volumes reachable on this node, and lets new ones
// take over what the image has at their paths.
type volumeHook struct{}

func (volumeHook) prepare(ctx context.Context, t *task, want *warrenv1.Task) error {
	var mounts []runtime.Mount
	identities := map[string]identity{}
	var io ioLimits
	for _, pin := range want.GetVolumes() {
		path, err := t.a.stage(ctx, t.id, pin, t.ready.image.Name)
		if err != nil {
			return err
		}
		dev, ino, err := volume.Identity(path)
		if err != nil {
			return fmt.Errorf("volume %s: %w", pin.GetVolume(), err)
		}
		if err := io.add(pin, path, want.GetContainer()); err != nil {
			return err
		}
		identities[pin.GetVolumeId()] = identity{dev, ino}
		mounts = append(mounts, runtime.Mount{Source: path, Target: pin.GetPath(), ReadOnly: pin.GetReadOnly()})
	}
	for _, m := range want.GetContainer().GetVolumes() {
		if m.GetHostPath() == "" {
			continue
		}
		source, err := t.a.cfg.Volumes.Stage(ctx, volume.HostPath(m.GetHostPath()))
		if err != nil {
			return err
		}
		mounts = append(mounts, runtime.Mount{Source: source, Target: m.GetPath(), ReadOnly: m.GetReadOnly()})
	}
	t.ready.volumes, t.ready.identities, t.ready.io = mounts, identities, io
	return nil
}

func (volumeHook) undo(ctx context.Context, t *task, want *warrenv1.Task) error {
	for _, pin := range want.GetVolumes() {
		if err := t.a.unstage(ctx, t.id, pin.GetVolumeId()); err != nil {
			return err
		}
	}
	return nil
}

// holders knows which tasks hold which volumes on this node, and lets no
// volume be unmounted or deleted while one does. The zero value is ready.
type holders struct {
	mu sync.Mutex
	by map[string]map[string]bool // tasks by volume
}

func (h *holders) add(volumeID, taskID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = map[string]map[string]bool{}
	}
	if h.by[volumeID] == nil {
		h.by[volumeID] = map[string]bool{}
	}
	h.by[volumeID][taskID] = true
}

func (h *holders) remove(volumeID, taskID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.by[volumeID], taskID)
	if len(h.by[volumeID]) == 0 {
		delete(h.by, volumeID)
	}
}

func (h *holders) any(volumeID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.by[volumeID]) > 0
}

// stage returns the path of a pinned volume's data.
func (a *Agent) stage(ctx context.Context, taskID string, pin *warrenv1.VolumePin, image string) (string, error) {
	k, err := a.keeper(pin)
	if err != nil {
		return "", err
	}
	k.use.Lock()
	defer k.use.Unlock()
	v, err := k.usable()
	if err != nil {
		return "", err
	}
	a.holders.add(v.ID, taskID)
	path, err := a.cfg.Volumes.Stage(ctx, v)
	if err != nil {
		return "", err
	}
	return path, a.populate(ctx, v, pin, image)
}

// populate does its work before the volume's first container starts, and
// never again.
func (a *Agent) populate(ctx context.Context, v volume.Volume, pin *warrenv1.VolumePin, image string) error {
	if pin.GetNoCopy() || !a.cfg.Volumes.CanPopulate(v) {
		return nil
	}
	if mounted, err := a.state.mounted(v.ID); err != nil || mounted {
		return err
	}
	return a.cfg.Runtime.ViewRoot(ctx, image, func(root string) error {
		return a.cfg.Volumes.Populate(ctx, v, root, pin.GetPath())
	})
}

// unstage gives a volume back, and unmounts it when no other task holds it.
func (a *Agent) unstage(ctx context.Context, taskID, volumeID string) error {
	a.mu.Lock()
	k := a.volumes[volumeID]
	a.mu.Unlock()
	if k == nil {
		a.holders.remove(volumeID, taskID)
		return nil // it was never held: a keeper stays while it is
	}
	k.use.Lock()
	defer k.use.Unlock()
	a.holders.remove(volumeID, taskID)
	if a.holders.any(volumeID) {
		return nil
	}
	if err := a.cfg.Volumes.Unstage(ctx, k.volume()); err != nil && !errors.Is(err, volume.ErrNotFound) {
		a.holders.add(volumeID, taskID)
		return err
	}
	return nil
}

// changedVolume returns the name of a volume whose directory is not the one
// that the task's container was started with; empty when there is none. What
// cannot be found out now is no reason to end a container that runs.
func (t *task) changedVolume(ctx context.Context, want *warrenv1.Task) string {
	for _, pin := range want.GetVolumes() {
		is, err := t.a.identify(ctx, t.id, pin)
		if errors.Is(err, volume.ErrNotFound) {
			return pin.GetVolume()
		}
		if err != nil {
			t.log.Warn("the volume of a running container cannot be looked at", "volume", pin.GetVolume(), "error", err)
			continue
		}
		before, known := t.progress.Volumes[pin.GetVolumeId()]
		if known && before != is {
			return pin.GetVolume()
		}
		if !known {
			// The program was killed between a start and writing it down.
			if t.progress.Volumes == nil {
				t.progress.Volumes = map[string]identity{}
			}
			t.progress.Volumes[pin.GetVolumeId()] = is
		}
	}
	return ""
}

// identify returns which directory is at a held volume's path now.
func (a *Agent) identify(ctx context.Context, taskID string, pin *warrenv1.VolumePin) (identity, error) {
	k, err := a.keeper(pin)
	if err != nil {
		return identity{}, err
	}
	k.use.Lock()
	defer k.use.Unlock()
	a.holders.add(pin.GetVolumeId(), taskID)
	path, err := a.cfg.Volumes.Stage(ctx, k.volume())
	if err != nil {
		return identity{}, err
	}
	dev, ino, err := volume.Identity(path)
	return identity{dev, ino}, err
}
