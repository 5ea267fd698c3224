package local

import (
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/conformance"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
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

// imageOf is where the driver keeps a volume with a limit.
func imageOf(d *Driver, v volume.Volume) string { return filepath.Join(d.root, imagesDir, v.ID) }

// unmountAll ends what a test leaves mounted below a directory.
func unmountAll(t *testing.T, dir string) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	must(t, err)
	for _, m := range slices.Backward(mounts) {
		_ = unix.Unmount(m.Mountpoint, unix.MNT_DETACH)
	}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			if f, err := os.Open(path); err == nil {
				setImmutable(f, false)
				f.Close()
			}
		}
		return nil
	}))
}

func TestConformanceOfSmallVolumesWithALimit(t *testing.T) { testLimited(t, 20<<20) }

// testLimited runs the suite on volumes of a size, which is what chooses their
// filesystem.
func testLimited(t *testing.T, size uint64) {
	t.Helper()
	conformance.Run(t, func(t *testing.T) conformance.Storage {
		root := filepath.Join(t.TempDir(), "warren", "volumes")
		t.Cleanup(func() { unmountAll(t, root) })
		return conformance.Storage{
			SizeBytes: size,
			Open:      func(t *testing.T) volume.Driver { return open(t, root) },
			Lose:      func(t *testing.T, v volume.Volume) { must(t, os.Remove(imageOf(open(t, root), v))) },
		}
	})
}
