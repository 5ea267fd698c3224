//go:build e2e

package containerd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// idle starts a container that does nothing until it is deleted.
func idle(t *testing.T) world {
	w := world{begin(t), t}
	c := sh(w.Runtime, "idle", "exec sleep 100000")
	c.Env = []string{"FROM=container"}
	start(t, w.Runtime, c)
	return w
}

// exec runs a command in the idle container.
func (w world) exec(e runtime.Exec) (code int, stdout, stderr string) {
	w.t.Helper()
	var out, errOut bytes.Buffer
	e.Stdout, e.Stderr = &out, &errOut
	code, err := w.Exec(w.t.Context(), "idle", e)
	if err != nil {
		w.t.Fatal(err)
	}
	return code, out.String(), errOut.String()
}

func TestExec(t *testing.T) {
	w := idle(t)
	shell := func(script string) []string { return []string{"sh", "-c", script} }
	for what, one := range map[string]struct {
		exec        runtime.Exec
		code        int
		out, errOut string
	}{
		"code and streams":  {runtime.Exec{Args: shell("echo out; echo err >&2; exit 9")}, 9, "out\n", "err\n"},
		"environment":       {runtime.Exec{Args: shell("echo $FROM $A"), Env: []string{"A=1"}}, 0, "container 1\n", ""},
		"working directory": {runtime.Exec{Args: []string{"pwd"}, Workdir: "/home/app"}, 0, "/home/app\n", ""},
		"user":              {runtime.Exec{Args: shell("id -u; id -G"), User: "app"}, 0, "1000\n1000 2000\n", ""},
		"input":             {runtime.Exec{Args: []string{"wc", "-c"}, Stdin: strings.NewReader(strings.Repeat("x", 1<<20))}, 0, "1048576\n", ""},
		"no input":          {runtime.Exec{Args: []string{"cat"}}, 0, "", ""},
		"much output":       {runtime.Exec{Args: shell("yes x | head -c 2000000 | wc -c")}, 0, "2000000\n", ""},
		"killed":            {runtime.Exec{Args: shell("kill -9 $$")}, 137, "", ""},
	} {
		t.Run(what, func(t *testing.T) {
			code, out, errOut := world{w.Runtime, t}.exec(one.exec)
			if code != one.code || out != one.out || errOut != one.errOut {
				t.Errorf("code %d, %q, %q", code, out, errOut)
			}
		})
	}
}

func TestExecOnATerminal(t *testing.T) {
	w := idle(t)
	in, typed := io.Pipe()
	sizes := make(chan runtime.Size, 1)
	sizes <- runtime.Size{Rows: 33, Columns: 77}
	out := newWatched()
	done := make(chan int, 1)
	go func() {
		code, err := w.Exec(t.Context(), "idle", runtime.Exec{Args: []string{"sh"}, TTY: true, Stdin: in, Stdout: out, Resize: sizes})
		if err != nil {
			t.Error(err)
		}
		done <- code
	}()
	eventually(t, "the terminal has the size", func() bool {
		_, _ = io.WriteString(typed, "stty size\n")
		return out.contains("33 77")
	})
	if _, err := io.WriteString(typed, "tty && exit 5\n"); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 5 || !out.contains("/dev/pts/") {
		t.Errorf("code %d, printed %q", code, out.String())
	}
	typed.Close()
}

func TestSignalsReachACommand(t *testing.T) {
	w := idle(t)
	signals := make(chan syscall.Signal, 1)
	out := newWatched()
	go func() {
		out.wait("ready")
		signals <- syscall.SIGTERM
	}()
	code, err := w.Exec(t.Context(), "idle", runtime.Exec{
		Args:   []string{"sh", "-c", "trap 'exit 4' TERM; echo ready; while :; do usleep 10000; done"},
		Stdout: out, Signal: signals,
	})
	if err != nil || code != 4 {
		t.Errorf("code %d, %v", code, err)
	}
}

func TestAnAbandonedCommandIsKilled(t *testing.T) {
	w := idle(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := newWatched()
	go func() {
		out.wait("ready")
		cancel()
	}()
	_, err := w.Exec(ctx, "idle", runtime.Exec{Args: []string{"sh", "-c", "echo ready; exec sleep 12345"}, Stdout: out})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("exec says %v", err)
	}
	if _, processes, _ := w.exec(runtime.Exec{Args: []string{"ps"}}); strings.Contains(processes, "12345") {
		t.Errorf("it still runs:\n%s", processes)
	}
}

func TestACommandThatCannotRunSaysSo(t *testing.T) {
	w := idle(t)
	_, err := w.Exec(t.Context(), "idle", runtime.Exec{Args: []string{"/no/such"}})
	if err == nil || !strings.Contains(err.Error(), "/no/such") {
		t.Errorf("exec says %v", err)
	}
	if _, err := w.Exec(t.Context(), "idle", runtime.Exec{}); err == nil {
		t.Error("no command at all was run")
	}
}
