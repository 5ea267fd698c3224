//go:build e2e

package ctr

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/testkit/image"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/runtime/containerd"
)

// address names, in the environment of this test program started once more,
// the socket that it runs ctr against.
const address = "WARREN_TEST_CTR"

func TestMain(m *testing.M) {
	if socket := os.Getenv(address); socket != "" {
		if err := Run(context.Background(), socket, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestCtrReachesTheNodesContainers(t *testing.T) {
	dir := t.TempDir()
	r, err := containerd.New(t.Context(), containerd.Options{
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), SystemSocket: filepath.Join(dir, "system.sock"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	made, err := image.Busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := image.WriteOCI(&archive, made); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Import(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	c := runtime.Container{ID: "looked-at", Image: made.Name, Args: []string{"sleep", "1000"}, Hostname: "inside"}
	if err := r.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Delete(context.Background(), c.ID); err != nil {
			t.Error(err)
		}
	}()
	if err := r.Start(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	ctr := func(args ...string) string {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), self, args...)
		command.Env = append(os.Environ(), address+"="+r.Address())
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("ctr %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	if out := ctr("tasks", "list"); !strings.Contains(out, "looked-at") || !strings.Contains(out, "RUNNING") {
		t.Errorf("tasks are %s", out)
	}
	if out := ctr("tasks", "exec", "--exec-id", "debug", "looked-at", "hostname"); out != "inside\n" {
		t.Errorf("the command printed %q", out)
	}
}
