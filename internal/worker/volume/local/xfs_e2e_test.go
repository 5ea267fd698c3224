//go:build e2e

package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"github.com/cuemby/warren/internal/worker/volume/conformance"
	"golang.org/x/sys/unix"
)

// xfs mounts a fresh filesystem that can share blocks between files.
func xfs(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("mkfs.xfs"); err != nil {
		t.Fatal("no mkfs.xfs: apt-get install xfsprogs")
	}
	image, dir := filepath.Join(t.TempDir(), "xfs.img"), t.TempDir()
	put(t, image, "")
	must(t, os.Truncate(image, 400<<20))
	run(t, "mkfs.xfs", "-q", "-m", "reflink=1", image)
	run(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	return dir
}

func TestConformanceOnXFS(t *testing.T) {
	base := xfs(t)
	conformance.Run(t, func(t *testing.T) conformance.Storage {
		root := filepath.Join(base, strings.ReplaceAll(t.Name(), "/", "-"), "volumes")
		return conformance.Storage{
			Open: func(t *testing.T) volume.Driver { return open(t, root) },
			Lose: func(t *testing.T, v volume.Volume) { must(t, os.RemoveAll(open(t, root).Path(v))) },
		}
	})
}

func TestConformanceOfVolumesWithALimit(t *testing.T) { testLimited(t, leastXFS) }

// Where the filesystem can, content that comes with an image costs no space.
func TestPopulateSharesBlocks(t *testing.T) {
	base := xfs(t)
	source := filepath.Join(base, "image")
	put(t, filepath.Join(source, "big"), strings.Repeat("x", 64<<20))
	d := open(t, filepath.Join(base, "volumes"))
	v := volume.Volume{ID: "vol-data-abc123", Name: "data"}
	must(t, d.Create(t.Context(), v))
	free := func() uint64 {
		var st unix.Statfs_t
		must(t, unix.Statfs(base, &st))
		return st.Bfree * uint64(st.Bsize)
	}
	unix.Sync()
	before := free()
	must(t, d.Populate(t.Context(), v, source))
	unix.Sync()
	if took := int64(before) - int64(free()); took > 8<<20 {
		t.Errorf("a copy of 64 MiB took %d bytes", took)
	}
	if got, want := describe(t, d.Path(v)), describe(t, source); got != want {
		t.Errorf("copied:\n%s\nthe image has\n%s", got, want)
	}
}
