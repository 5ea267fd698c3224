//go:build e2e

package containerd

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// hostDirectory names, in the environment of this test program started as a
// process of its own, the directory that its runtime is in.
const hostDirectory = "WARREN_TEST_HOST"

// host is the process that is killed: it starts a container that ends with
// code 42 once the file "go" exists, says so, and waits.
func host(dir string) int {
	ctx := context.Background()
	r, err := New(ctx, options(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := sh(r, "short", "until [ -e /signs/go ]; do usleep 10000; done; echo over; exit 42")
	c.Mounts = []runtime.Mount{{Source: filepath.Join(dir, "signs"), Target: "/signs"}}
	if err := r.Create(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := r.Start(ctx, c.ID); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	select {}
}

// killedHost runs host in dir until the container runs, and kills it as the
// kernel would.
func killedHost(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(self)
	process.Env = append(os.Environ(), hostDirectory+"="+dir)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := process.Process.Kill(); killErr != nil {
		t.Error(killErr)
	}
	_ = process.Wait()
	if err != nil || line != "started\n" {
		t.Fatalf("the host process said %q: %v", line, err)
	}
}

// withShortContainer is a directory whose runtime was killed while the
// container "short" ran; sign lets that end.
func withShortContainer(t *testing.T) (dir string, sign func()) {
	dir = directory(t)
	if err := os.Mkdir(filepath.Join(dir, "signs"), 0o755); err != nil {
		t.Fatal(err)
	}
	end(t, open(t, dir)) // only for the image
	killedHost(t, dir)
	return dir, func() {
		if err := os.WriteFile(filepath.Join(dir, "signs", "go"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEndWhileWarrenWasDownIsReportedWithItsCode(t *testing.T) {
	dir, sign := withShortContainer(t)
	sign()
	log := filepath.Join(dir, "data", "short.log")
	eventually(t, "the container prints its last words", func() bool { return printed(t, log) == "over\n" })
	pids := func() bool {
		out, _ := os.ReadFile("/sys/fs/cgroup/pids/warren/short/cgroup.procs")
		return len(out) == 0
	}
	eventually(t, "the container's process is gone", pids)

	r := open(t, dir)
	defer end(t, r)
	exit, err := r.Wait(t.Context(), "short")
	if err != nil || exit.Code != 42 || exit.At.IsZero() {
		t.Fatalf("waited for %+v, %v; want code 42", exit, err)
	}
	status, err := r.Status(t.Context(), "short")
	if err != nil || status.Running || status.Exit == nil || *status.Exit != exit {
		t.Errorf("status is %+v, %v; want the same end", status, err)
	}
	if err := r.Start(t.Context(), "short"); err != nil {
		t.Errorf("starting what has ended: %v", err)
	}
	if status, _ := r.Status(t.Context(), "short"); status.Running {
		t.Error("what has ended was run again")
	}
}

func TestARunningContainerIsPickedUpAfterAKill(t *testing.T) {
	dir, sign := withShortContainer(t)
	r := open(t, dir)
	defer end(t, r)
	status, err := r.Status(t.Context(), "short")
	if err != nil || !status.Running || status.Pid == 0 {
		t.Fatalf("status after the restart is %+v, %v; want running", status, err)
	}
	if len(status.Mounts) != 1 || status.Mounts[0].Target != "/signs" {
		t.Errorf("mounts after the restart are %v", status.Mounts)
	}
	sign()
	exit, err := r.Wait(t.Context(), "short")
	if err != nil || exit.Code != 42 {
		t.Fatalf("waited for %+v, %v; want code 42", exit, err)
	}
}

func TestAnEndBetweenTheLookAndContainerdsOwnIsSeen(t *testing.T) {
	dir, sign := withShortContainer(t)
	seen := runs{dir: filepath.Join(dir, "data", "containerd", "runs")}
	bundles := filepath.Join(dir, "run", "containerd", "io.containerd.runtime.v2.task", Namespace)
	h := harvest(t.Context(), bundles, seen, slog.Default())
	if r, err := seen.get("short"); err != nil || r == nil || r.Exit != nil {
		t.Fatalf("while it runs, its end is %+v, %v", r, err)
	}
	sign()
	eventually(t, "the end is recorded", func() bool {
		r, err := seen.get("short")
		return err == nil && r.Exit != nil && r.Exit.Code == 42
	})
	h.finish()
	end(t, open(t, dir))
}
