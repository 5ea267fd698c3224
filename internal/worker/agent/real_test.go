//go:build e2e

package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/testkit/image"
	"github.com/cuemby/warren/internal/worker/network/bridge"
	"github.com/cuemby/warren/internal/worker/runtime/containerd"
	"github.com/cuemby/warren/internal/worker/secretfs"
	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/local"
)

// reality is a node of real parts, with only the manager played.
type reality struct {
	testing.TB
	*boss
	dir     string
	runtime *containerd.Runtime
	agent   *Agent
	stop    func()
}

func newReality(t testing.TB) *reality {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test runs containers: run it as root, `sudo make test`")
	}
	dir, err := os.MkdirTemp("", "wr") // short, because sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something stays mounted: %v", err)
		}
	})
	r := &reality{TB: t, boss: newBoss(t), dir: dir}
	r.boss.patience = 30 * time.Second
	r.begin()
	t.Cleanup(func() { r.stop() })
	busybox, err := image.Busybox(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := image.WriteOCI(&archive, busybox); err != nil {
		t.Fatal(err)
	}
	if _, err := r.runtime.Import(context.Background(), &archive); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reality) begin() {
	r.Helper()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level()}))
	data, run := filepath.Join(r.dir, "data"), filepath.Join(r.dir, "run")
	var err error
	r.runtime, err = containerd.New(context.Background(), containerd.Options{
		DataDir: data, RunDir: run, SystemSocket: filepath.Join(r.dir, "system", "containerd.sock"), Logger: log,
	})
	if err != nil {
		r.Fatal(err)
	}
	driver, err := local.Open(r.volume(""), log)
	if err != nil {
		r.Fatal(err)
	}
	wires, err := bridge.Open(bridge.Options{RunDir: run, Log: log})
	if err != nil {
		r.Fatal(err)
	}
	volumes := volume.NewManager(map[string]volume.Driver{"local": driver}, log)
	r.agent, err = New(Config{
		DataDir: data, Hostname: "host-1", Log: log, Dial: r.dial, Runtime: r.runtime, Volumes: volumes, Network: wires,
		OpenSecrets: func(live []string) (Secrets, error) {
			return secretfs.Open(filepath.Join(run, "secrets"), live, log)
		},
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.agent.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.Errorf("Run: %v", err)
		}
		if err := r.runtime.Close(); err != nil {
			r.Error(err)
		}
		r.boss.change(func() { r.boss.out = nil })
	}
}

func (r *reality) volume(name string) string { return filepath.Join(r.dir, "data", "volumes", name) }

// read returns a file of the volume once it has content.
func (r *reality) read(path string) string {
	r.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(r.boss.patience); time.Now().Before(limit); <-tick.C {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return string(b)
		}
	}
	r.Fatalf("nothing is in %s", path)
	return ""
}

func (r *reality) assignTask(change func(*warrenv1.Task)) time.Time {
	task := withSecret(withVolume(aTask("real-1-0123456789"), "db-data"), "pw")
	task.Container = &warrenv1.ContainerSpec{
		Image: "busybox", StopTimeout: durationpb.New(5 * time.Second),
		Args: []string{"sh", "-c", `trap "exit 5" TERM; cat /run/secrets/pw > /data/got; hostname > /data/name; while :; do usleep 10000; done`},
	}
	change(task)
	r.boss.assign(r.TB, &warrenv1.Assignments{Full: true, Tasks: []*warrenv1.Task{task}, Volumes: []*warrenv1.Volume{aVolume("db-data")}})
	return time.Now()
}

func TestTaskOnRealParts(t *testing.T) {
	r := newReality(t)
	const id = "real-1-0123456789"
	r.boss.secrets["secret-pw"] = []byte("s3cret\n")
	assigned := r.assignTask(func(*warrenv1.Task) {})
	s := r.boss.state(t, id, running)
	t.Logf("running %v after the assignment", time.Since(assigned).Round(time.Millisecond))
	if got := r.read(r.volume("db-data/got")); got != "s3cret\n" {
		t.Errorf("the container saw the secret as %q", got)
	}
	if got := r.read(r.volume("db-data/name")); got != "app-task-1\n" {
		t.Errorf("the container is called %q", got)
	}
	if net.ParseIP(s.GetAddress()) == nil {
		t.Errorf("address %q", s.GetAddress())
	}
	before, err := r.runtime.Status(t.Context(), id)
	if err != nil || before.Pid == 0 {
		t.Fatalf("status %+v, %v", before, err)
	}

	t.Run("a restarted agent takes it up again", func(t *testing.T) {
		r.stop()
		r.begin()
		r.boss.await(t, "a session", func() bool { return r.boss.out != nil })
		r.boss.await(t, "its status", func() bool { return r.boss.tasks[id].GetState() == running })
		if now, err := r.runtime.Status(t.Context(), id); err != nil || now.Pid != before.Pid {
			t.Errorf("status %+v, %v; was %+v", now, err, before)
		}
	})
	t.Run("killed, it is restarted with its secret", func(t *testing.T) {
		if err := os.Remove(r.volume("db-data/got")); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		if err := r.runtime.Signal(t.Context(), id, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.boss.await(t, "the restart", func() bool { return r.boss.tasks[id].GetRestarts() == 1 })
		t.Logf("running again %v after the kill", time.Since(killed).Round(time.Millisecond))
		if s := r.boss.state(t, id, running); s.GetExitReason() != "killed by SIGKILL" {
			t.Errorf("status %v", s)
		}
		if got := r.read(r.volume("db-data/got")); got != "s3cret\n" {
			t.Errorf("the container saw the secret as %q", got)
		}
	})
	t.Run("its volume restored under a stopped agent, it is recreated", func(t *testing.T) {
		r.stop()
		if err := os.Rename(r.volume("db-data"), r.volume("db-data-old")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(r.volume("db-data"), 0o755); err != nil {
			t.Fatal(err)
		}
		r.begin()
		r.boss.await(t, "the second restart", func() bool { return r.boss.tasks[id].GetRestarts() == 2 })
		if s := r.boss.state(t, id, running); s.GetExitCode() != 5 || !strings.Contains(s.GetExitReason(), "db-data") {
			t.Errorf("status %v", s)
		}
		r.read(r.volume("db-data/got"))
	})
	t.Run("stopped, it leaves nothing", func(t *testing.T) {
		r.assignTask(func(t *warrenv1.Task) { unwanted(t) })
		if s := r.boss.state(t, id, stopped); s.GetExitCode() != 5 {
			t.Errorf("status %v", s)
		}
		if _, err := os.Stat(filepath.Join(r.dir, "run", "secrets", id)); !os.IsNotExist(err) {
			t.Errorf("its secrets: %v", err)
		}
		if ids, err := r.runtime.ContainerIDs(t.Context()); err != nil || len(ids) != 0 {
			t.Errorf("containers %v, %v", ids, err)
		}
		if _, err := os.Stat(r.volume("db-data/got")); err != nil {
			t.Error(err)
		}
	})
}

// The time from the assignment of a task with a new volume and a secret to its
// being reported as running.
func BenchmarkAssignedToRunning(b *testing.B) {
	r := newReality(b)
	r.boss.secrets["secret-pw"] = []byte("s3cret\n")
	n := 0
	for b.Loop() {
		n++
		id, name := fmt.Sprintf("bench-%d", n), fmt.Sprintf("data-%d", n)
		task := withSecret(withVolume(aTask(id), name), "pw")
		task.Container = &warrenv1.ContainerSpec{Image: "busybox", Args: []string{"sleep", "1000"}, StopTimeout: durationpb.New(0)}
		r.boss.assign(b, &warrenv1.Assignments{Tasks: []*warrenv1.Task{task}, Volumes: []*warrenv1.Volume{aVolume(name)}})
		r.boss.state(b, id, running)
		b.StopTimer()
		r.boss.assign(b, &warrenv1.Assignments{Tasks: []*warrenv1.Task{unwanted(proto.CloneOf(task))}})
		r.boss.state(b, id, stopped)
		b.StartTimer()
	}
}

// level is quiet unless $WARREN_TEST_LOG asks for more.
func level() (l slog.Level) {
	if l.UnmarshalText([]byte(os.Getenv("WARREN_TEST_LOG"))) != nil {
		return slog.LevelWarn
	}
	return l
}
