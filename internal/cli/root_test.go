package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWithoutRootANodeSaysHowToBecomeIt runs this test's binary as nobody.
func TestWithoutRootANodeSaysHowToBecomeIt(t *testing.T) {
	cmd := exec.Command(readableCopy(t), "cluster", "init", "--node-name", "n 1")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	cmd.Dir = "/"
	_, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 6 {
		t.Fatalf("it ended with %v", err)
	}
	want := "Error: \"warren cluster init\" runs containers, which takes root\n" +
		"Try: sudo warren cluster init --node-name 'n 1'\n"
	if got := string(exit.Stderr); got != want {
		t.Errorf("it said %q", got)
	}
}

// readableCopy is the command `warren` where everybody can run it.
func readableCopy(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "warren")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "warren")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, program, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}
