//go:build e2e

package containerd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/ttrpc"

	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/runtime/logs"
)

func TestLifeOfAContainer(t *testing.T) {
	r := begin(t)
	ctx := t.Context()
	c := sh(r, "life", "trap 'exit 7' TERM; echo up; while :; do usleep 10000; done")
	c.Labels = map[string]string{"a": "b"}
	for range 2 { // every call may be repeated
		if err := r.Create(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if status, err := r.Status(ctx, c.ID); err != nil || status.Running || status.Exit != nil || status.Labels["a"] != "b" {
		t.Fatalf("status before the start is %+v, %v", status, err)
	}
	if _, err := r.Wait(ctx, c.ID); err == nil {
		t.Error("waited for a container that was not started")
	}
	for range 2 {
		if err := r.Start(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	status, err := r.Status(ctx, c.ID)
	if err != nil || !status.Running || status.Pid == 0 || status.Exit != nil {
		t.Fatalf("status after the start is %+v, %v", status, err)
	}
	eventually(t, "the trap is set", func() bool { return printed(t, c.LogPath) == "up\n" })
	if err := r.Signal(ctx, c.ID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exit, err := r.Wait(ctx, c.ID)
	if err != nil || exit.Code != 7 || time.Since(exit.At) > time.Minute {
		t.Fatalf("waited for %+v, %v; want code 7", exit, err)
	}
	if err := r.Signal(ctx, c.ID, syscall.SIGTERM); err != nil {
		t.Errorf("a signal to what has ended: %v", err)
	}
	if ids, err := r.ContainerIDs(ctx); err != nil || len(ids) != 1 || ids[0] != c.ID {
		t.Errorf("containers are %v, %v", ids, err)
	}
	for range 2 {
		if err := r.Delete(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Status(ctx, c.ID); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("after its deletion, status says %v", err)
	}
	if got := printed(t, c.LogPath); got != "up\n" {
		t.Errorf("after its deletion, its log is %q", got)
	}
}

func TestUnknownThingsAreNotFound(t *testing.T) {
	r := begin(t)
	ctx := t.Context()
	_, waitErr := r.Wait(ctx, "nothing")
	_, execErr := r.Exec(ctx, "nothing", runtime.Exec{Args: []string{"true"}})
	c := sh(r, "imageless", "true")
	c.Image = "docker.io/library/nothing:latest"
	for what, err := range map[string]error{
		"start": r.Start(ctx, "nothing"), "signal": r.Signal(ctx, "nothing", syscall.SIGTERM),
		"wait": waitErr, "exec": execErr, "create": r.Create(ctx, c),
		"view": r.ViewRoot(ctx, c.Image, func(string) error { return nil }),
	} {
		if !errors.Is(err, runtime.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestExitCodesAreTrue(t *testing.T) {
	w := world{begin(t), t}
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -9 $$": 137} {
		// A shell that is the first process cannot kill itself; a child can.
		if strings.Contains(script, "kill") {
			script = "sh -c '" + script + "'; exit $?"
		}
		if code, _ := w.run(sh(w.Runtime, "exits", script)); code != want {
			t.Errorf("%s: code %d, want %d", script, code, want)
		}
	}
}

func TestACommandThatIsNotThereSaysSo(t *testing.T) {
	r := begin(t)
	c := sh(r, "missing", "")
	c.Args = []string{"/no/such/program"}
	if err := r.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	err := r.Start(t.Context(), c.ID)
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Fatalf("start says %v", err)
	}
	if status, err := r.Status(t.Context(), c.ID); err != nil || status.Running || status.Exit != nil {
		t.Errorf("status is %+v, %v; want never started", status, err)
	}
}

func TestARestartInPlaceGoesOnWithItsLog(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "again", "echo once; exit 1")
	w.run(c)
	if _, output := w.run(c); output != "once\nonce\n" {
		t.Errorf("the log of both runs is %q", output)
	}
}

func TestOutputThatNobodyReadsDoesNotBlock(t *testing.T) {
	w := world{begin(t), t}
	code, output := w.run(sh(w.Runtime, "loud", "yes warren | head -c 1048576; echo; echo complaint >&2"))
	if code != 0 || len(output) != 1048576+1+len("complaint\n") || !strings.Contains(output, "complaint\n") {
		t.Errorf("code %d and %d bytes of output", code, len(output))
	}
}

func TestAKilledShimIsAnEndToo(t *testing.T) {
	r := begin(t)
	c := sh(r, "orphan", "sleep 1000")
	start(t, r, c)
	pid := shimOf(t, r, c.ID)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := r.Wait(t.Context(), c.ID)
	if err != nil || exit.Code == 0 {
		t.Fatalf("waited for %+v, %v", exit, err)
	}
	if err := r.Delete(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	start(t, r, c) // its name is free again
}

// A deletion that was interrupted leaves a shim without a container, of which
// containerd's client says that there is no task.
func TestAnInterruptedDeletionIsFinished(t *testing.T) {
	r := begin(t)
	ctx := t.Context()
	c := sh(r, "half", "exit 5")
	start(t, r, c)
	if _, err := r.Wait(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	address, err := shimAddress(filepath.Join(r.runDir, "containerd", "io.containerd.runtime.v2.task", Namespace, c.ID))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	shim := ttrpc.NewClient(conn)
	defer shim.Close()
	if _, err := taskapi.NewTTRPCTaskClient(shim).Delete(ctx, &taskapi.DeleteRequest{ID: c.ID}); err != nil {
		t.Fatal(err)
	}
	if status, err := r.Status(ctx, c.ID); err != nil || status.Running || status.Exit == nil || status.Exit.Code != 5 {
		t.Errorf("status is %+v, %v", status, err)
	}
	if err := r.Delete(ctx, c.ID); err != nil {
		t.Error(err)
	}
}

func TestLogsRotateWhileTheContainerRuns(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "wordy", "head -c 35000000 /dev/zero | tr '\\0' x; echo; echo last")
	if _, output := w.run(c); !strings.HasSuffix(output, "x\nlast\n") || len(output) < 20_000_000 {
		t.Errorf("of the output %d bytes are kept", len(output))
	}
	files, err := filepath.Glob(c.LogPath + "*")
	if err != nil || len(files) != logs.DefaultMaxFiles {
		t.Fatalf("files are %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() > logs.DefaultMaxBytes {
			t.Errorf("%s: %v, %v", file, info.Size(), err)
		}
	}
}

func TestALogThatCannotBeWrittenIsAnError(t *testing.T) {
	r := begin(t)
	c := sh(r, "mute", "true")
	c.LogPath = filepath.Join(r.dataDir, "no", "such", "directory", "log")
	if err := r.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), c.ID); err == nil {
		t.Error("the container was started without its log")
	}
}

func TestOnlyTheNativeArchitectureIsFiltered(t *testing.T) {
	r := begin(t)
	c := sh(r, "native", "true")
	if err := r.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	container, err := r.client.LoadContainer(r.in(t.Context()), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := container.Spec(r.in(t.Context()))
	if err != nil || spec.Linux.Seccomp == nil || len(spec.Linux.Seccomp.Architectures) != 1 {
		t.Errorf("the profile is %+v, %v", spec.Linux.Seccomp, err)
	}
}
