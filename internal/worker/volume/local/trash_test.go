package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// Nothing is moved, and nothing unmounted, while something is mounted inside.
func TestTrashStopsAtAMountInsideTheVolume(t *testing.T) {
	root := filepath.Join(t.TempDir(), "volumes")
	t.Cleanup(func() { unmountAll(t, root) })
	d := open(t, root)
	for _, size := range []uint64{0, 20 << 20} {
		v := volume.Volume{ID: "vol-data-abc123", Name: "data", SizeBytes: size}
		must(t, d.Create(t.Context(), v))
		dir, err := d.Stage(t.Context(), v)
		must(t, err)
		outside := t.TempDir()
		put(t, filepath.Join(outside, "precious"), "1")
		inside := filepath.Join(dir, "sub/mounted")
		bind(t, outside, inside)
		for name, end := range map[string]error{"trash": d.Trash(t.Context(), v), "delete": d.Delete(t.Context(), v)} {
			if !errors.Is(end, volume.ErrBusy) || !strings.Contains(end.Error(), inside) {
				t.Errorf("%s: %v; want ErrBusy that names %s", name, end, inside)
			}
		}
		if _, err := os.Stat(filepath.Join(inside, "precious")); err != nil {
			t.Error(err)
		}
		must(t, unix.Unmount(inside, 0))
		must(t, d.Trash(t.Context(), v))
		must(t, d.Delete(t.Context(), v))
		mustHaveNothingLeft(t, d)
	}
}

// Whoever can write to a volume's directory cannot have another one taken for it.
func TestTrashFollowsNoLink(t *testing.T) {
	d, v, dir := created(t)
	outside := t.TempDir()
	put(t, filepath.Join(outside, "precious"), "1")
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	must(t, d.Trash(t.Context(), v))
	if target, err := os.Readlink(filepath.Join(d.root, trashDir, v.ID, "link")); err != nil || target != outside {
		t.Errorf("in the trash: %q, %v", target, err)
	}
	must(t, os.Symlink(outside, dir))
	if err := d.Untrash(t.Context(), v); err == nil {
		t.Error("a link was taken for the volume's place")
	}
	must(t, os.Remove(dir))
	must(t, d.Untrash(t.Context(), v))
	must(t, os.RemoveAll(dir))
	must(t, os.Symlink(outside, dir))
	if err := d.Trash(t.Context(), v); err == nil {
		t.Error("a link was taken for the volume")
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
}

// Killed between any two steps, a move to the trash or back is finished by the
// next call.
func TestTrashKilledAtAnyStep(t *testing.T) {
	for name, interrupt := range map[string]func(t *testing.T, d *Driver, v volume.Volume, p *placed){
		"after the marker": func(t *testing.T, _ *Driver, _ volume.Volume, p *placed) {
			must(t, writeMarker(p.root, p.trash(), p.marker))
		},
		"after the rename": func(t *testing.T, _ *Driver, _ volume.Volume, p *placed) {
			must(t, writeMarker(p.root, p.trash(), p.marker))
			must(t, p.root.Rename(p.content(), p.trash()))
		},
		"back, after the marker": func(t *testing.T, d *Driver, v volume.Volume, p *placed) {
			must(t, d.Trash(t.Context(), v))
			must(t, p.mark(marker{ID: v.ID}))
		},
		"back, after the rename": func(t *testing.T, d *Driver, v volume.Volume, p *placed) {
			must(t, d.Trash(t.Context(), v))
			must(t, p.mark(marker{ID: v.ID}))
			must(t, p.root.Rename(p.trash(), p.content()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, next := range []string{"trash", "untrash", "delete"} {
				d, v, dir := created(t)
				put(t, filepath.Join(dir, "row"), "1")
				p, err := d.open(v)
				must(t, err)
				interrupt(t, d, v, p)
				p.Close()
				if next == "delete" {
					must(t, d.Delete(t.Context(), v))
					mustHaveNothingLeft(t, d)
					continue
				}
				if next == "trash" {
					must(t, d.Trash(t.Context(), v))
				}
				must(t, d.Untrash(t.Context(), v))
				if _, err := d.Stage(t.Context(), v); err != nil {
					t.Errorf("%s: %v", next, err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, "row")); err != nil || string(got) != "1" {
					t.Errorf("%s: %q, %v", next, got, err)
				}
			}
		})
	}
}
