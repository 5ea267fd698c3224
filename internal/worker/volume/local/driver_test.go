package local

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/conformance"
)

// The tests mount, so they run in a mount namespace of their own.
func TestMain(m *testing.M) {
	const inside = "WARREN_TEST_MOUNT_NAMESPACE"
	if os.Getenv(inside) != "" {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			println("make mounts private:", err.Error())
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		println("these tests need root: run them with sudo:", err.Error())
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

func open(t *testing.T, root string) *Driver {
	t.Helper()
	d, err := Open(root, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Storage {
		root := filepath.Join(t.TempDir(), "warren", "volumes")
		return conformance.Storage{
			Open: func(t *testing.T) volume.Driver { return open(t, root) },
			Lose: func(t *testing.T, v volume.Volume) {
				if err := os.RemoveAll(open(t, root).Path(v)); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
