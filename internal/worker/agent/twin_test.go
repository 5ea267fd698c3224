package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/secretfs"
)

// journal is what was asked of the twins, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

func (j *journal) count(line string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, l := range j.lines {
		if l == line {
			n++
		}
	}
	return n
}

// box is a container of the machine.
type box struct {
	asked   runtime.Container
	running bool
	exit    *runtime.Exit
	ended   chan struct{}
}

// machine is the in-memory twin of a container runtime. It outlives agents, as
// containers do.
type machine struct {
	*journal
	mu         sync.Mutex
	boxes      map[string]*box
	images     map[string]runtime.Image
	pullable   map[string]runtime.Image
	accesses   []runtime.RegistryAccess
	deaf       bool // containers ignore SIGTERM
	stopSignal syscall.Signal
	startError error
	// signalError is what sending a SIGHUP comes to.
	signalError error
	imageRoot   string
	usage       map[string]runtime.Usage
	exec        func(context.Context, runtime.Exec) (int, error)
}

func newMachine(t *testing.T) *machine {
	return &machine{
		journal:    &journal{},
		boxes:      map[string]*box{},
		images:     map[string]runtime.Image{"docker.io/library/app:1": {Name: "docker.io/library/app:1", Digest: "sha256:app"}},
		pullable:   map[string]runtime.Image{},
		imageRoot:  t.TempDir(),
		usage:      map[string]runtime.Usage{},
		stopSignal: syscall.SIGTERM,
	}
}

var _ runtime.Runtime = (*machine)(nil)

func (m *machine) Ensure(_ context.Context, name string, access runtime.RegistryAccess) (runtime.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i, ok := m.images[name]; ok {
		return i, nil
	}
	m.accesses = append(m.accesses, access)
	if i, ok := m.pullable[name]; ok {
		m.images[name] = i
		return i, nil
	}
	return runtime.Image{}, fmt.Errorf("pull %s: the registry says: manifest unknown: %w", name, runtime.ErrNotFound)
}

func (m *machine) Import(_ context.Context, archive io.Reader) ([]runtime.Image, error) {
	content, err := io.ReadAll(archive)
	if err != nil {
		return nil, err
	}
	if string(content) == "rubbish" {
		return nil, errors.New("not an image archive")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := runtime.Image{Name: string(content), Digest: "sha256:loaded", Size: 7}
	m.images[i.Name] = i
	return []runtime.Image{i}, nil
}

func (m *machine) List(context.Context) ([]runtime.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.images)), nil
}

func (m *machine) Remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.images, name)
	m.add("remove image %s", name)
	return nil
}

func (m *machine) ViewRoot(_ context.Context, _ string, view func(string) error) error {
	m.add("view image")
	return view(m.imageRoot)
}

func (m *machine) Create(_ context.Context, c runtime.Container) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add("create %s", c.ID)
	if m.boxes[c.ID] == nil {
		m.boxes[c.ID] = &box{asked: c}
	}
	return nil
}

func (m *machine) Start(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[id]
	if b == nil {
		return runtime.ErrNotFound
	}
	if m.startError != nil {
		return m.startError
	}
	if b.running || b.exit != nil {
		return nil
	}
	m.add("start %s", id)
	b.running, b.ended = true, make(chan struct{})
	return nil
}

func (m *machine) Signal(_ context.Context, id string, s syscall.Signal) error {
	m.add("signal %s %v", id, s)
	m.mu.Lock()
	err := m.signalError
	m.mu.Unlock()
	if s == syscall.SIGHUP && err != nil {
		return err
	}
	if s != syscall.SIGHUP && (s == syscall.SIGKILL || !m.deaf) {
		m.end(id, 128+int(s))
	}
	return nil
}

// end lets a container's process end with that code.
func (m *machine) end(id string, code int) { m.endAs(id, runtime.Exit{Code: code}) }

func (m *machine) endOutOfMemory(id string) { m.endAs(id, runtime.Exit{Code: 137, OutOfMemory: true}) }

func (m *machine) endAs(id string, exit runtime.Exit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.boxes[id]; b != nil && b.running {
		exit.At = time.Now()
		b.running, b.exit = false, &exit
		close(b.ended)
	}
}

// powerOff is what a crash of the machine leaves: records, no processes.
func (m *machine) powerOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.boxes {
		b.running = false
	}
}

func (m *machine) Delete(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add("delete %s", id)
	delete(m.boxes, id)
	return nil
}

func (m *machine) Status(_ context.Context, id string) (runtime.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[id]
	if b == nil {
		return runtime.Status{}, runtime.ErrNotFound
	}
	return runtime.Status{Running: b.running, Exit: b.exit, StopSignal: m.stopSignal}, nil
}

func (m *machine) ContainerIDs(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.boxes)), nil
}

func (m *machine) Wait(ctx context.Context, id string) (runtime.Exit, error) {
	m.mu.Lock()
	b := m.boxes[id]
	m.mu.Unlock()
	if b == nil {
		return runtime.Exit{}, runtime.ErrNotFound
	}
	select {
	case <-b.ended:
		return *b.exit, nil
	case <-ctx.Done():
		return runtime.Exit{}, ctx.Err()
	}
}

func (m *machine) Usage(_ context.Context, id string) (runtime.Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.boxes[id]; b == nil || !b.running {
		return runtime.Usage{}, runtime.ErrNotFound
	}
	return m.usage[id], nil
}

func (m *machine) Freeze(_ context.Context, ids []string, _ time.Duration) (frozen []string, thaw func() error, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if b := m.boxes[id]; b != nil && b.running {
			frozen = append(frozen, id)
			m.add("freeze %s", id)
		}
	}
	return frozen, func() error {
		for _, id := range frozen {
			m.add("thaw %s", id)
		}
		return nil
	}, nil
}

func (m *machine) Thaw(context.Context, []string) error { return nil }

func (m *machine) Exec(ctx context.Context, _ string, e runtime.Exec) (int, error) {
	return m.exec(ctx, e)
}

func (m *machine) running(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boxes[id] != nil && m.boxes[id].running
}

func (m *machine) asked(id string) runtime.Container {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boxes[id].asked
}

// wires is the in-memory twin of a network.
type wires struct {
	*journal
	mu   sync.Mutex
	live []string
	// members are the last that were announced; loud has the journal say who of
	// them is ready.
	members []network.Member
	loud    bool
	sandbox network.Sandbox
}

func (w *wires) Attach(_ context.Context, s network.Sandbox) (network.Endpoint, error) {
	w.add("attach %s", s.TaskID)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sandbox = s
	return network.Endpoint{
		NetNSPath: "/run/netns/" + s.TaskID, HostsPath: "/run/hosts/" + s.TaskID, Address: netip.MustParseAddr("10.0.0.2"),
	}, nil
}

func (w *wires) Announce(_ context.Context, members []network.Member) error {
	w.mu.Lock()
	w.members = members
	loud := w.loud
	w.mu.Unlock()
	if loud {
		w.add("ready %v", w.ready())
	}
	return nil
}

// ready lists the tasks that others are to call.
func (w *wires) ready() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := []string{}
	for _, m := range w.members {
		if m.Ready && m.Address.IsValid() {
			ids = append(ids, m.TaskID)
		}
	}
	return ids
}

func (w *wires) Detach(_ context.Context, taskID string) error {
	w.add("detach %s", taskID)
	return nil
}

func (w *wires) Restore(_ context.Context, live []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = live
	return nil
}

// drawer is the twin of secretfs on a plain directory.
type drawer struct {
	*journal
	dir  string
	full atomic.Bool // nothing fits any more
}

func (d *drawer) open(live []string) (Secrets, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !slices.Contains(live, e.Name()) {
			if err := os.RemoveAll(filepath.Join(d.dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (d *drawer) Mount(taskID string, _ uint64) (string, error) {
	dir := filepath.Join(d.dir, taskID)
	return dir, os.MkdirAll(dir, 0o700)
}

func (d *drawer) Write(taskID string, f secretfs.File, values ...secretfs.Value) error {
	d.add("write %s %s", taskID, f.Target)
	if d.full.Load() {
		return secretfs.ErrFull
	}
	target := filepath.Join(d.dir, taskID, f.Target)
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	for _, v := range values {
		path := filepath.Join(target, v.Key)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, v.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *drawer) Remove(taskID, target string) error {
	d.add("remove %s %s", taskID, target)
	return os.RemoveAll(filepath.Join(d.dir, taskID, target))
}

func (d *drawer) Wipe(taskID string) error {
	d.add("wipe %s", taskID)
	return os.RemoveAll(filepath.Join(d.dir, taskID))
}

func (d *drawer) read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, path))
	if err != nil {
		return ""
	}
	return string(b)
}
