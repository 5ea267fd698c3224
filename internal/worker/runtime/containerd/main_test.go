//go:build e2e

package containerd

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/testkit/image"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/runtime/logs"
)

const busybox = "docker.io/library/busybox:latest"

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests run containers: run them as root, `sudo make test`")
		os.Exit(1)
	}
	if dir := os.Getenv(hostDirectory); dir != "" {
		os.Exit(host(dir))
	}
	os.Exit(m.Run())
}

// archive is busybox as an OCI archive, made once.
var archive = sync.OnceValues(func() ([]byte, error) {
	made, err := image.Busybox(context.Background())
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = image.WriteOCI(&b, made)
	return b.Bytes(), err
})

// options are of a runtime in directories of its own.
func options(dir string) Options {
	return Options{
		DataDir:      filepath.Join(dir, "data"),
		RunDir:       filepath.Join(dir, "run"),
		SystemSocket: filepath.Join(dir, "system", "containerd.sock"),
		Logger:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// directory is short, because sockets are in it.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something stays mounted: %v", err)
		}
	})
	return dir
}

// open starts a runtime in dir with busybox in it.
func open(t testing.TB, dir string) *Runtime {
	t.Helper()
	r, err := New(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ensure(t.Context(), busybox, runtime.RegistryAccess{}); err == nil {
		return r
	}
	b, err := archive()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Import(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return r
}

// begin starts a runtime that leaves nothing behind.
func begin(t testing.TB) *Runtime {
	t.Helper()
	r := open(t, directory(t))
	t.Cleanup(func() { end(t, r) })
	return r
}

// end deletes what there is and closes the runtime.
func end(t testing.TB, r *Runtime) {
	t.Helper()
	ctx := context.Background()
	ids, err := r.ContainerIDs(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		if err := r.Delete(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// sh is a container that runs a shell script in the host's network.
func sh(r *Runtime, id, script string) runtime.Container {
	return runtime.Container{
		ID: id, Image: busybox, Args: []string{"sh", "-c", script}, Hostname: id,
		LogPath: filepath.Join(r.dataDir, id+".log"),
	}
}

// start makes and starts a container.
func start(t testing.TB, r *Runtime, c runtime.Container) {
	t.Helper()
	if err := r.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
}

// run starts a container, waits for its end and returns what it printed.
func (w world) run(c runtime.Container) (code int, output string) {
	w.t.Helper()
	start(w.t, w.Runtime, c)
	exit, err := w.Wait(w.t.Context(), c.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	// The log is whole once the container is deleted.
	if err := w.Delete(w.t.Context(), c.ID); err != nil {
		w.t.Fatal(err)
	}
	return exit.Code, printed(w.t, c.LogPath)
}

// world is a runtime in a test.
type world struct {
	*Runtime
	t testing.TB
}

// printed is what a container printed to both streams.
func printed(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	err := logs.Read(t.Context(), path, logs.Options{}, func(e logs.Entry) error {
		b.Write(e.Line)
		if !e.Partial {
			b.WriteByte('\n')
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// eventually waits for something outside of this process.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// shimOf is the process that keeps a running container.
func shimOf(t testing.TB, r *Runtime, id string) (pid int) {
	t.Helper()
	status, err := r.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return parent(t, status.Pid)
}

// parent is the process that a process is a child of.
func parent(t testing.TB, of int) (pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", of))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "PPid:")
	if _, err := fmt.Sscan(rest, &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}
