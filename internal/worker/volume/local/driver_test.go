package local

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// An ext4 cannot grow while it is used without a capability that not every
// program has; then it grows when nobody uses it.
func TestResizeSaysWhatItNeeds(t *testing.T) {
	root := filepath.Join(t.TempDir(), "volumes")
	t.Cleanup(func() { unmountAll(t, root) })
	d := open(t, root)
	v := volume.Volume{ID: "vol-data-abc123", Name: "data", SizeBytes: 20 << 20}
	must(t, d.Create(t.Context(), v))
	dir, err := d.Stage(t.Context(), v)
	must(t, err)
	put(t, filepath.Join(dir, "row"), "1")
	elsewhere := t.TempDir()
	bind(t, dir, elsewhere)
	if _, err := d.Resize(t.Context(), v); err != nil {
		t.Errorf("to what it is: %v", err)
	}
	v.SizeBytes = 40 << 20
	if limit, err := d.Resize(t.Context(), v); err == nil {
		return // this program has it
	} else if !errors.Is(err, volume.ErrBusy) || !strings.Contains(err.Error(), "CAP_SYS_RESOURCE") || limit != 20<<20 {
		t.Errorf("got %d, %v", limit, err)
	}
	if st, err := os.Stat(imageOf(d, v)); err != nil || st.Size() != 20<<20 {
		t.Errorf("the image has %d bytes, %v", st.Size(), err)
	}
	must(t, unix.Unmount(elsewhere, 0))
	if limit, err := d.Resize(t.Context(), v); err != nil || limit != 40<<20 {
		t.Errorf("got %d, %v", limit, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "row")); err != nil || string(got) != "1" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestAFullDiskRefusesALimit(t *testing.T) {
	small := t.TempDir()
	must(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=32m"))
	t.Cleanup(func() { _ = unix.Unmount(small, unix.MNT_DETACH) })
	root := filepath.Join(small, "volumes")
	t.Cleanup(func() { unmountAll(t, root) })
	d := open(t, root)
	v := volume.Volume{ID: "vol-data-abc123", Name: "data", SizeBytes: 40 << 20}
	if err := d.Create(t.Context(), v); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "are free") {
		t.Errorf("larger than the disk: %v", err)
	}
	must(t, d.Delete(t.Context(), v))
	mustHaveNothingLeft(t, d)
	v.SizeBytes = 20 << 20
	must(t, d.Create(t.Context(), v))
	v.SizeBytes = 40 << 20
	if limit, err := d.Resize(t.Context(), v); !errors.Is(err, unix.ENOSPC) || limit != 20<<20 {
		t.Errorf("grow beyond the disk: %d, %v", limit, err)
	}
	if st, err := os.Stat(imageOf(d, v)); err != nil || st.Size() != 20<<20 {
		t.Errorf("the image has %d bytes, %v", st.Size(), err)
	}
	// The volume's space is its own, whatever else fills the disk.
	_ = os.WriteFile(filepath.Join(small, "filler"), make([]byte, 20<<20), 0o600)
	if err := os.WriteFile(filepath.Join(d.Path(v), "row"), make([]byte, 8<<20), 0o600); err != nil {
		t.Errorf("write to a volume on a full disk: %v", err)
	}
	unix.Sync()
}

// What was put under the mount point while nothing was mounted is never hidden.
func TestFilesUnderTheMountPointStopTheMount(t *testing.T) {
	root := filepath.Join(t.TempDir(), "volumes")
	t.Cleanup(func() { unmountAll(t, root) })
	d := open(t, root)
	v := volume.Volume{ID: "vol-data-abc123", Name: "data", SizeBytes: 20 << 20}
	must(t, d.Create(t.Context(), v))
	dir, err := d.Stage(t.Context(), v)
	must(t, err)
	put(t, filepath.Join(dir, "row"), "1")
	// The machine reboots: nothing is mounted, and nothing can be written.
	must(t, unix.Unmount(dir, 0))
	if err := os.WriteFile(filepath.Join(dir, "stray"), nil, 0o600); !errors.Is(err, unix.EPERM) {
		t.Errorf("write below the mount point: %v", err)
	}
	f, err := os.Open(dir)
	must(t, err)
	setImmutable(f, false)
	must(t, f.Close())
	put(t, filepath.Join(dir, "stray"), "2")
	_, err = d.Stage(t.Context(), v)
	if !errors.Is(err, volume.ErrBusy) || !strings.Contains(err.Error(), "mv "+dir) {
		t.Errorf("got %v", err)
	}
	must(t, os.Rename(filepath.Join(dir, "stray"), filepath.Join(t.TempDir(), "stray")))
	if dir, err = d.Stage(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "row")); err != nil || string(got) != "1" {
		t.Errorf("read %q, %v", got, err)
	}
}
