package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

func umask(mask int) int { return unix.Umask(mask) }

// image makes a tree with one of everything that a copy must keep.
func image(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	put(t, filepath.Join(dir, "sub/file"), "content")
	put(t, filepath.Join(dir, "empty"), "")
	must(t, os.Mkdir(filepath.Join(dir, "sub/closed"), 0o700))
	must(t, os.Link(filepath.Join(dir, "sub/file"), filepath.Join(dir, "sub/closed/hard")))
	must(t, os.Symlink("sub/file", filepath.Join(dir, "link")))
	must(t, os.Symlink("/nowhere", filepath.Join(dir, "dangling")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o640))
	must(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!"), 0o755))
	must(t, os.Chown(filepath.Join(dir, "tool"), 7, 8))
	must(t, unix.Chmod(filepath.Join(dir, "tool"), 0o4755))
	must(t, unix.Setxattr(filepath.Join(dir, "tool"), "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	must(t, unix.Setxattr(filepath.Join(dir, "sub"), "user.note", []byte("hello"), 0))
	must(t, os.Lchown(filepath.Join(dir, "link"), 5, 6))
	sparse := filepath.Join(dir, "sparse")
	must(t, os.WriteFile(sparse, []byte("start"), 0o600))
	f, err := os.OpenFile(sparse, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("middle"), 4<<20)
	must(t, err)
	must(t, f.Truncate(8<<20))
	must(t, f.Close())
	must(t, os.Chown(dir, 999, 998))
	must(t, unix.Chmod(dir, 0o1770))
	old := []unix.Timespec{{Sec: 1e9, Nsec: 5}, {Sec: 1e9, Nsec: 123456789}}
	for _, name := range []string{"tool", "link", "fifo", "sub/closed", "sub", "."} {
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, name), old, unix.AT_SYMLINK_NOFOLLOW))
	}
	return dir
}

func TestPopulateKeepsEverything(t *testing.T) {
	d, v, dir := created(t)
	source := image(t)
	_, before, err := volume.Identity(dir)
	must(t, err)
	must(t, d.Populate(t.Context(), v, source))
	if got, want := describe(t, dir), describe(t, source); got != want {
		t.Errorf("copied:\n%s\nthe image has\n%s", got, want)
	}
	if _, after, _ := volume.Identity(dir); after != before {
		t.Error("the volume's directory was replaced, under whoever has it mounted")
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dir, "sparse"), &st))
	if allocated := st.Blocks * 512; allocated > 1<<20 {
		t.Errorf("the holes were filled: %d bytes", allocated)
	}
	must(t, d.Delete(t.Context(), v))
	mustHaveNothingLeft(t, d)
}

func TestPopulateFromAnEmptyDirectoryTakesItsOwner(t *testing.T) {
	d, v, dir := created(t)
	source := t.TempDir()
	must(t, os.Chown(source, 999, 998))
	must(t, unix.Chmod(source, 0o1770))
	must(t, d.Populate(t.Context(), v, source))
	if got, want := describe(t, dir), describe(t, source); got != want {
		t.Errorf("the volume is %s, the image has %s", got, want)
	}
	must(t, os.Chown(dir, 5, 5))
	want := describe(t, dir)
	for _, second := range []string{source, image(t)} {
		must(t, d.Populate(t.Context(), v, second))
		if got := describe(t, dir); got != want {
			t.Errorf("populated a second time: %s, was %s", got, want)
		}
	}
}

// From another filesystem, as an image's root is.
func TestPopulateAcrossFilesystems(t *testing.T) {
	d, v, dir := created(t)
	elsewhere := t.TempDir()
	must(t, unix.Mount("none", elsewhere, "tmpfs", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(elsewhere, unix.MNT_DETACH) })
	run(t, "cp", "-a", image(t)+"/.", elsewhere)
	want := describe(t, elsewhere)
	must(t, d.Populate(t.Context(), v, elsewhere))
	if got := describe(t, dir); got != want {
		t.Errorf("copied:\n%s\nthe image has\n%s", got, want)
	}
}

func TestPopulateLeavesDevicesOut(t *testing.T) {
	d, v, dir := created(t)
	source := t.TempDir()
	put(t, filepath.Join(source, "file"), "1")
	must(t, unix.Mknod(filepath.Join(source, "disk"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, d.Populate(t.Context(), v, source))
	if _, err := os.Lstat(filepath.Join(dir, "disk")); err == nil {
		t.Error("a device node of the image is on the host now")
	}
}

func TestPopulateKilledAtAnyStep(t *testing.T) {
	source := image(t)
	// A move that was made before changes the time of the copy's own directory.
	entries := func(dir string) string {
		_, rest, _ := strings.Cut(describe(t, dir), "\n")
		return rest
	}
	want := entries(source)
	for name, killed := range map[string]func(d *Driver, p *placed) error{
		"while it copied": func(d *Driver, p *placed) error {
			put(t, filepath.Join(d.root, stagePrefix+p.id, copyName, "half"), "1")
			return nil
		},
		"when the copy was complete": func(_ *Driver, p *placed) error {
			return stageFrom(t, p, source)
		},
		"while it moved": func(d *Driver, p *placed) error {
			if err := stageFrom(t, p, source); err != nil {
				return err
			}
			return os.Rename(filepath.Join(d.root, fullPrefix+p.id, copyName, "sub"), filepath.Join(p.path, "sub"))
		},
		"when only the rest was to be removed": func(d *Driver, p *placed) error {
			if err := p.mark(marker{ID: p.id, Populated: true}); err != nil {
				return err
			}
			run(t, "cp", "-a", source+"/.", p.path)
			return os.MkdirAll(filepath.Join(d.root, fullPrefix+p.id, copyName), 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, v, dir := created(t)
			p, err := d.open(v)
			must(t, err)
			must(t, killed(d, p))
			must(t, p.Close())
			d = open(t, d.root)
			_, err = d.Stage(t.Context(), v)
			must(t, err)
			must(t, d.Populate(t.Context(), v, source))
			if got := entries(dir); got != want {
				t.Errorf("copied:\n%s\nthe image has\n%s", got, want)
			}
			must(t, d.Delete(t.Context(), v))
			mustHaveNothingLeft(t, d)
		})
	}
}

func stageFrom(t *testing.T, p *placed, source string) error {
	t.Helper()
	from, err := os.Open(source)
	must(t, err)
	defer from.Close()
	return p.stage(t.Context(), from)
}

func TestPopulateOnAFullDisk(t *testing.T) {
	root := t.TempDir()
	must(t, unix.Mount("none", root, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	d := open(t, filepath.Join(root, "volumes"))
	v := volume.Volume{ID: "vol-data-abc123", Name: "data"}
	must(t, d.Create(t.Context(), v))
	source := t.TempDir()
	put(t, filepath.Join(source, "big"), strings.Repeat("x", 2<<20))
	if err := d.Populate(t.Context(), v, source); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("populate: %v; want ENOSPC", err)
	}
	entries, err := os.ReadDir(d.Path(v))
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("the volume has %v", entries)
	}
	must(t, os.Truncate(filepath.Join(source, "big"), 1000))
	must(t, d.Populate(t.Context(), v, source))
	if _, err := os.Stat(filepath.Join(d.Path(v), "big")); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestPopulateEndsWithItsContext(t *testing.T) {
	d, v, dir := created(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Populate(ctx, v, image(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("the volume has %v, %v", entries, err)
	}
}

func TestPopulateFromNoDirectoryCounts(t *testing.T) {
	for name, source := range map[string]string{"nothing": "/nowhere/at/all", "file": "/etc/passwd"} {
		d, v, dir := created(t)
		must(t, d.Populate(t.Context(), v, source))
		must(t, d.Populate(t.Context(), v, image(t)))
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
			t.Errorf("%s: the second image was taken: %v, %v", name, entries, err)
		}
	}
}

// Somebody mounted storage of his own on the volume's directory.
func TestPopulateLeavesAMountAlone(t *testing.T) {
	d, v, dir := created(t)
	bind(t, t.TempDir(), dir)
	must(t, d.Populate(t.Context(), v, image(t)))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("copied into a foreign mount: %v, %v", entries, err)
	}
	if err := d.Delete(t.Context(), v); !errors.Is(err, volume.ErrBusy) {
		t.Errorf("delete: %v; want ErrBusy", err)
	}
}

// Images are mounted as overlays; what overlays write beside files is theirs.
func TestPopulateFromAnOverlay(t *testing.T) {
	d, v, dir := created(t)
	base, lower, view := t.TempDir(), image(t), t.TempDir()
	put(t, filepath.Join(base, "image/sub/of-the-base"), "1")
	put(t, filepath.Join(base, "image/hidden/file"), "1")
	// An upper layer that hides a directory and replaces another.
	top := t.TempDir()
	must(t, os.Rename(lower, filepath.Join(top, "image")))
	must(t, unix.Mknod(filepath.Join(top, "image/hidden"), unix.S_IFCHR, 0))
	must(t, unix.Setxattr(filepath.Join(top, "image/sub"), "trusted.overlay.origin", []byte("x"), 0))
	must(t, unix.Mount("overlay", view, "overlay", unix.MS_RDONLY, "lowerdir="+top+":"+base))
	t.Cleanup(func() { _ = unix.Unmount(view, unix.MNT_DETACH) })
	source := filepath.Join(view, "image")
	must(t, d.Populate(t.Context(), v, source))
	if got, want := describe(t, dir), describe(t, source); got != want {
		t.Errorf("copied:\n%s\nthe image shows\n%s", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub/of-the-base")); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "hidden")); err == nil {
		t.Error("what a layer removed is there")
	}
}
