package local

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
)

// The guide's backup and restore: rm -rf, then tar.
func TestRestoredDirectoryIsTheVolumeAgain(t *testing.T) {
	d, v, dir := created(t)
	put(t, filepath.Join(dir, "base/1/rows"), "row 1")
	must(t, os.Chmod(dir, 0o700))
	must(t, os.Chown(dir, 999, 999))
	// The archive keeps whole seconds.
	run(t, "find", dir, "-exec", "touch", "-d", "2025-10-08 10:00:00", "{}", "+")
	archive := filepath.Join(t.TempDir(), "backup.tar.gz")
	run(t, "tar", "czf", archive, "--absolute-names", dir)
	before := describe(t, dir)

	must(t, os.RemoveAll(dir))
	if _, err := d.Stage(t.Context(), v); !errors.Is(err, volume.ErrNotFound) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("stage of what is gone: %v; want ErrNotFound that speaks of the backup", err)
	}
	run(t, "tar", "xzf", archive, "--absolute-names", "-C", "/")
	path, err := open(t, d.root).Stage(t.Context(), v)
	if err != nil || path != dir {
		t.Fatalf("stage after the restore: %q, %v", path, err)
	}
	if after := describe(t, dir); after != before {
		t.Errorf("restored:\n%s\nwas\n%s", after, before)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// On an exchanged disk there are no markers; the directory of the volume's
// name is what a person restored there.
func TestRestoreOntoANewDisk(t *testing.T) {
	d, v, dir := created(t)
	put(t, filepath.Join(dir, "row"), "1")
	must(t, os.RemoveAll(filepath.Join(d.root, metaDir)))
	d = open(t, d.root)
	if _, err := d.Stage(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	other := v
	other.ID = "vol-data-zzz999"
	if _, err := d.Stage(t.Context(), other); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("and another volume of the name has it too: %v", err)
	}
}

func TestCreateTakesOverADirectoryWithoutOwner(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "volumes"))
	v := volume.Volume{ID: "vol-data-abc123", Name: "data"}
	put(t, filepath.Join(d.Path(v), "row"), "1")
	must(t, d.Create(t.Context(), v))
	if _, err := os.Stat(filepath.Join(d.Path(v), "row")); err != nil {
		t.Error(err)
	}
}

// The old volume's data was moved away by hand; its place is free.
func TestCreateInThePlaceOfAVanishedVolume(t *testing.T) {
	d, v, dir := created(t)
	must(t, os.Rename(dir, dir+".saved"))
	young := v
	young.ID = "vol-data-zzz999"
	must(t, d.Create(t.Context(), young))
	if _, err := d.Stage(t.Context(), v); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("the old volume has the new one's directory: %v", err)
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	old := umask(0o077)
	defer umask(old)
	d := open(t, filepath.Join(t.TempDir(), "warren", "volumes"))
	v := volume.Volume{ID: "vol-data-abc123", Namespace: "prod", Name: "data"}
	must(t, d.Create(t.Context(), v))
	for path, want := range map[string]os.FileMode{
		d.root: 0o755, filepath.Join(d.root, "@prod"): 0o755, d.Path(v): 0o755,
		filepath.Join(d.root, metaDir): 0o700,
	} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s is %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestWhatIsNoDirectoryIsRefused(t *testing.T) {
	for name, replace := range map[string]func(dir string) error{
		"symbolic link": func(dir string) error { return os.Symlink("/etc", dir) },
		"no directory":  func(dir string) error { return os.WriteFile(dir, nil, 0o644) },
	} {
		d, v, dir := created(t)
		must(t, os.Remove(dir))
		must(t, replace(dir))
		if _, err := d.Stage(t.Context(), v); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("stage: %v; want a refusal that says %q", err, name)
		}
		if err := d.Create(t.Context(), v); err == nil {
			t.Error("create was not refused")
		}
		if err := d.Delete(t.Context(), v); err == nil {
			t.Error("delete was not refused")
		}
		if _, err := os.Stat("/etc/passwd"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedMarkerIsNamed(t *testing.T) {
	d, v, _ := created(t)
	file := filepath.Join(d.root, metaDir, "data")
	must(t, os.WriteFile(file, []byte("{"), 0o600))
	if _, err := d.Stage(t.Context(), v); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v; want an error that names %s", err, file)
	}
}

func TestOpenRefusesARelativePath(t *testing.T) {
	if _, err := Open("volumes", nil); err == nil {
		t.Error("a relative path was taken")
	}
}

func FuzzMarker(f *testing.F) {
	f.Add([]byte(`{"id":"vol-data-abc123","populated":true}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMarker(b); err == nil && m.ID == "" {
			t.Fatalf("%q is the marker of no volume", b)
		}
	})
}
