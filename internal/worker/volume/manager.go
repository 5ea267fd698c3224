package volume

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cyphar/filepath-securejoin"
)

// How long a driver may take. Populate and Delete move data, and what they did
// before the deadline is not lost: the next call goes on from there, or starts
// over beside the volume.
const (
	callLimit = time.Minute
	dataLimit = 30 * time.Minute
)

// Manager makes the calls to drivers: one at a time for each volume, each with
// a deadline, those for different volumes side by side. All methods may be
// called from any goroutine; their errors name the volume and wrap ErrNotFound,
// ErrBusy and ErrUnsupported.
//
// A call whose deadline passes is abandoned: its caller gets an error, and the
// volume stays busy until the driver returns.
type Manager struct {
	drivers map[string]Driver
	log     *slog.Logger
	queues  *queues

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// NewManager returns a Manager of these drivers, by name.
func NewManager(drivers map[string]Driver, log *slog.Logger) *Manager {
	return &Manager{drivers: drivers, log: log, queues: newQueues()}
}

// Ensure makes the storage of a new volume and returns where it will be
// reachable. It must not be called for a volume that was reported ready once:
// on an exchanged disk it would make an empty one; Stage never does.
func (m *Manager) Ensure(ctx context.Context, v Volume) (path string, err error) {
	limit := callLimit
	if v.Source != "" {
		limit = dataLimit
	}
	return call(ctx, m, v, "create", limit, func(ctx context.Context, d Driver) (string, error) {
		return d.Path(v), d.Create(ctx, v)
	})
}

// Delete removes the volume with everything in it, and returns when it is gone.
func (m *Manager) Delete(ctx context.Context, v Volume) error {
	_, err := call(ctx, m, v, "delete", dataLimit, func(ctx context.Context, d Driver) (string, error) {
		return "", d.Delete(ctx, v)
	})
	return err
}

// Stage makes the volume reachable and returns the path to bind into
// containers. ErrNotFound when its data is not there.
func (m *Manager) Stage(ctx context.Context, v Volume) (path string, err error) {
	return call(ctx, m, v, "mount", callLimit, func(ctx context.Context, d Driver) (string, error) {
		return d.Stage(ctx, v)
	})
}

// Unstage undoes Stage, once no container has the volume mounted.
func (m *Manager) Unstage(ctx context.Context, v Volume) error {
	_, err := call(ctx, m, v, "unmount", callLimit, func(ctx context.Context, d Driver) (string, error) {
		return "", d.Unstage(ctx, v)
	})
	return err
}

// Trash puts the volume aside, for Untrash or Delete. ErrUnsupported when its
// driver has no such place.
func (m *Manager) Trash(ctx context.Context, v Volume) error {
	_, err := call(ctx, m, v, "trash", callLimit, func(ctx context.Context, d Driver) (none struct{}, err error) {
		t, ok := d.(Trasher)
		if !ok || !d.Capabilities().Trash {
			return none, ErrUnsupported
		}
		return none, t.Trash(ctx, v)
	})
	return err
}

// Untrash takes back a volume that is in the trash, if it is.
func (m *Manager) Untrash(ctx context.Context, v Volume) error {
	_, err := call(ctx, m, v, "restore", callLimit, func(ctx context.Context, d Driver) (none struct{}, err error) {
		if t, ok := d.(Trasher); ok && d.Capabilities().Trash {
			err = t.Untrash(ctx, v)
		}
		return none, err
	})
	return err
}

// Resize gives the volume at least the limit of its SizeBytes, and returns
// which it has; see Resizer.
func (m *Manager) Resize(ctx context.Context, v Volume) (limit uint64, err error) {
	return call(ctx, m, v, "resize", dataLimit, func(ctx context.Context, d Driver) (uint64, error) {
		r, ok := d.(Resizer)
		if !ok || !d.Capabilities().Size {
			return 0, ErrUnsupported
		}
		return r.Resize(ctx, v)
	})
}

// CanPopulate says whether Populate does anything for the volume's driver, so
// that an image need not be mounted for nothing.
func (m *Manager) CanPopulate(v Volume) bool {
	_, ok := m.populator(v)
	return ok
}

// Populate lets a new and empty volume take over content and ownership of the
// directory that the image at root has at path, which may lead through the
// image's own symbolic links. Only the first call in a volume's life does
// anything.
func (m *Manager) Populate(ctx context.Context, v Volume, root, path string) error {
	p, ok := m.populator(v)
	if !ok {
		return nil
	}
	_, err := call(ctx, m, v, "populate", dataLimit, func(ctx context.Context, _ Driver) (string, error) {
		source, err := securejoin.SecureJoin(root, path)
		if err != nil {
			return "", fmt.Errorf("find %s in the image: %w", path, err)
		}
		return "", p.Populate(ctx, v, source)
	})
	return err
}

func (m *Manager) populator(v Volume) (Populator, bool) {
	d := m.drivers[v.Driver]
	if d == nil || !d.Capabilities().Populate {
		return nil, false
	}
	p, ok := d.(Populator)
	return p, ok
}

// Usage measures the volume, beside other calls for it; it may read all of the
// volume's directories. See Meter.
func (m *Manager) Usage(ctx context.Context, v Volume) (Usage, error) {
	return call(ctx, m, v, measure, dataLimit, func(ctx context.Context, d Driver) (Usage, error) {
		if !d.Capabilities().Usage {
			return Usage{}, ErrUnsupported
		}
		return d.Usage(ctx, v)
	})
}

// Close refuses further calls and waits until all have returned, or ctx ends.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	done := make(chan struct{})
	go func() { m.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("storage has not answered: %w", ctx.Err())
	}
}

// enter counts a call, unless the Manager is closed.
func (m *Manager) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.running.Add(1)
	}
	return !m.closed
}

// Calls that are made beside the volume's others: they take long and change
// nothing that those need.
const (
	measure  = "measure"
	snapshot = "snapshot"
	lookup   = "look for a snapshot of"
)

// call runs f in the volume's turn, and abandons it at the limit.
func call[T any](ctx context.Context, m *Manager, v Volume, op string, limit time.Duration, f func(context.Context, Driver) (T, error)) (T, error) {
	var none T
	d := m.drivers[v.Driver]
	if d == nil {
		return none, fmt.Errorf("%s volume %s: this node has no driver %q", op, v.Name, v.Driver)
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	key := v.Driver + "/" + v.ID
	switch op {
	case measure, snapshot, lookup:
		key += "/" + op
	}
	release, err := m.queues.take(ctx, key, op)
	if err != nil {
		return none, fmt.Errorf("%s volume %s: %w", op, v.Name, err)
	}
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	if !m.enter() {
		release()
		return none, fmt.Errorf("%s volume %s: this node is stopping", op, v.Name)
	}
	go func() {
		defer m.running.Done()
		defer release()
		value, err := f(ctx, d)
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		if r.err != nil {
			return none, fmt.Errorf("%s volume %s: %w", op, v.Name, r.err)
		}
		return r.value, nil
	case <-ctx.Done():
		if caller.Err() != nil {
			return none, fmt.Errorf("%s volume %s: %w", op, v.Name, caller.Err())
		}
		m.log.Warn("storage did not answer in time", "volume", v.Name, "id", v.ID, "call", op)
		return none, fmt.Errorf("%s volume %s: its storage did not answer: %w", op, v.Name, ctx.Err())
	}
}
