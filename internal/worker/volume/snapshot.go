package volume

import (
	"context"
	"errors"
	"time"
)

// ErrPause is returned when what has changed cannot be copied within the
// longest pause that a volume's tasks are put to.
var ErrPause = errors.New("too much changes")

// Snapshot is what a volume held at one instant.
type Snapshot struct {
	// Bytes that its files take; blocks may be shared with the volume.
	Bytes uint64 `json:"bytes"`
	// Method is how it was made: "reflink", "copy" or "rename".
	Method  string    `json:"method"`
	TakenAt time.Time `json:"taken_at"`
	// Pause is for how long its writers were stopped; 0 when it had none.
	Pause time.Duration `json:"pause"`
	// Took is the time from the beginning until it was safe on the disk.
	Took time.Duration `json:"took"`
	// Note is what a person should know of it.
	Note string `json:"note,omitempty"`
}

// Restore has a volume take over the content of a snapshot.
type Restore struct {
	// ID tells one restore from the next.
	ID string
	// Snapshot is the ID of the one to take the content of.
	Snapshot string
	// Keep is the ID of the snapshot that becomes of what the volume holds.
	Keep string
}

// Snapshotter is a driver with the Snapshots capability. Snapshots are known by
// IDs that are unique among those of all volumes; they survive their volume.
type Snapshotter interface {
	// Snapshot returns what is known of one that is complete; ErrNotFound when
	// there is none.
	Snapshot(ctx context.Context, id string) (Snapshot, error)
	// Capture begins a new one of a volume that is staged. What an earlier
	// attempt left is dropped.
	Capture(ctx context.Context, v Volume, id string) (Capture, error)
	// DeleteSnapshot removes one for good, complete or not. Gone is no error.
	DeleteSnapshot(ctx context.Context, id string) error
	// Restore gives the volume, which nobody uses, the content of a snapshot;
	// it becomes staged. When it fails the volume is as it was. Called again
	// with the same ID it goes on, or does nothing.
	Restore(ctx context.Context, v Volume, r Restore) error
}

// Capture is a snapshot while it is taken: Follow as often as it pays, Take
// once, then Finish; or Close at any time, which removes what is not finished.
// Its methods are called one at a time.
type Capture interface {
	// Follow copies what it can while others write to the volume, until the
	// rest is small or does not become smaller.
	Follow(ctx context.Context) error
	// Take copies the rest. Nobody writes to the volume meanwhile.
	Take(ctx context.Context) error
	// Finish makes the snapshot durable and complete. Pause, TakenAt and Note
	// are the caller's.
	Finish(ctx context.Context, s Snapshot) (Snapshot, error)
	Close() error
}

// A pause lasts at most pauseLimit. What is not copied by then is given up.
const pauseLimit = 10 * time.Second

// Snapshot returns a complete snapshot of the volume; ErrNotFound when there is
// none.
func (m *Manager) Snapshot(ctx context.Context, v Volume, id string) (Snapshot, error) {
	return call(ctx, m, v, lookup, callLimit, func(ctx context.Context, d Driver) (Snapshot, error) {
		s, err := snapshotter(d)
		if err != nil {
			return Snapshot{}, err
		}
		return s.Snapshot(ctx, id)
	})
}

// DeleteSnapshot removes a snapshot of the volume.
func (m *Manager) DeleteSnapshot(ctx context.Context, v Volume, id string) error {
	_, err := call(ctx, m, v, snapshot, dataLimit, func(ctx context.Context, d Driver) (none struct{}, err error) {
		s, err := snapshotter(d)
		if err != nil {
			return none, err
		}
		return none, s.DeleteSnapshot(ctx, id)
	})
	return err
}

// Restore gives the volume the content of a snapshot; see Snapshotter.
func (m *Manager) Restore(ctx context.Context, v Volume, r Restore) error {
	_, err := call(ctx, m, v, "restore", dataLimit, func(ctx context.Context, d Driver) (none struct{}, err error) {
		s, err := snapshotter(d)
		if err != nil {
			return none, err
		}
		return none, s.Restore(ctx, v, r)
	})
	return err
}

// Capture begins a snapshot of the volume. Tasks may take the volume and give
// it back meanwhile: it is no turn of the volume's.
func (m *Manager) Capture(ctx context.Context, v Volume, id string) (Capture, error) {
	c, err := call(ctx, m, v, snapshot, callLimit, func(ctx context.Context, d Driver) (Capture, error) {
		s, err := snapshotter(d)
		if err != nil {
			return nil, err
		}
		return s.Capture(ctx, v, id)
	})
	if err != nil {
		return nil, err
	}
	return &bounded{m, v, c}, nil
}

func snapshotter(d Driver) (Snapshotter, error) {
	s, ok := d.(Snapshotter)
	if !ok || !d.Capabilities().Snapshots {
		return nil, ErrUnsupported
	}
	return s, nil
}

// bounded makes a capture's calls in time.
type bounded struct {
	m *Manager
	v Volume
	Capture
}

func (b *bounded) Follow(ctx context.Context) error {
	return b.do(ctx, dataLimit, b.Capture.Follow)
}

func (b *bounded) Take(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, pauseLimit, ErrPause)
	defer cancel()
	err := b.do(limited, dataLimit, b.Capture.Take)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return errors.Join(ErrPause, err)
	}
	return err
}

func (b *bounded) do(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	_, err := call(ctx, b.m, b.v, snapshot, limit, func(ctx context.Context, _ Driver) (none struct{}, err error) {
		return none, f(ctx)
	})
	return err
}

func (b *bounded) Finish(ctx context.Context, s Snapshot) (Snapshot, error) {
	return call(ctx, b.m, b.v, snapshot, dataLimit, func(ctx context.Context, _ Driver) (Snapshot, error) {
		return b.Capture.Finish(ctx, s)
	})
}
