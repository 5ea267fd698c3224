package local

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

func snapshotted(t *testing.T) (*Driver, volume.Volume, string) {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "volumes"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v := volume.Volume{ID: "vol-db-abc123", Name: "db", Namespace: "default", Driver: "local"}
	must(t, d.Create(t.Context(), v))
	path, err := d.Stage(t.Context(), v)
	must(t, err)
	return d, v, path
}

// take takes a snapshot; during runs after the volume was followed, as its
// tasks would.
func take(t *testing.T, d *Driver, v volume.Volume, id string, during func()) volume.Snapshot {
	t.Helper()
	c, err := d.Capture(t.Context(), v, id)
	must(t, err)
	defer c.Close()
	must(t, c.Follow(t.Context()))
	if during != nil {
		during()
	}
	must(t, c.Take(t.Context()))
	s, err := c.Finish(t.Context(), volume.Snapshot{TakenAt: time.Now()})
	must(t, err)
	return s
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func TestASnapshotShowsTheInstantAndNothingLater(t *testing.T) {
	d, v, dir := snapshotted(t)
	put(t, dir+"/kept", "kept")
	put(t, dir+"/changed", "before")
	put(t, dir+"/removed", "gone")
	must(t, os.MkdirAll(dir+"/old/deep", 0o750))
	put(t, dir+"/old/deep/file", "deep")
	must(t, os.Link(dir+"/kept", dir+"/linked"))
	must(t, os.Symlink("/etc/passwd", dir+"/symlink"))
	must(t, unix.Setxattr(dir+"/kept", "user.colour", []byte("blue"), 0))
	must(t, os.Chown(dir+"/kept", 999, 998))
	must(t, os.Chmod(dir+"/kept", 0o640))
	take(t, d, v, "snap-1", func() {
		put(t, dir+"/changed", "after!")
		put(t, dir+"/new", "new")
		must(t, os.Remove(dir+"/removed"))
		must(t, os.Rename(dir+"/old", dir+"/moved"))
		must(t, os.Link(dir+"/linked", dir+"/moved/third"))
	})
	put(t, dir+"/changed", "much later")

	at := filepath.Join(d.root, ".snapshots/snap-1/data")
	for name, want := range map[string]string{"changed": "after!", "new": "new", "moved/deep/file": "deep", "kept": "kept", "moved/third": "kept"} {
		if got := content(t, filepath.Join(at, name)); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	for _, name := range []string{"removed", "old"} {
		if _, err := os.Lstat(filepath.Join(at, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	var a, b unix.Stat_t
	must(t, unix.Lstat(at+"/kept", &a))
	must(t, unix.Lstat(at+"/moved/third", &b))
	if a.Ino != b.Ino || a.Nlink != 3 {
		t.Errorf("hard links are %d and %d, %d of them", a.Ino, b.Ino, a.Nlink)
	}
	if a.Uid != 999 || a.Gid != 998 || a.Mode&0o7777 != 0o640 {
		t.Errorf("it belongs to %d:%d, %o", a.Uid, a.Gid, a.Mode)
	}
	colour := make([]byte, 16)
	if n, err := unix.Getxattr(at+"/kept", "user.colour", colour); err != nil || string(colour[:n]) != "blue" {
		t.Errorf("attribute %q: %v", colour, err)
	}
	if to, err := os.Readlink(at + "/symlink"); err != nil || to != "/etc/passwd" {
		t.Errorf("link leads to %q: %v", to, err)
	}
}

// A program that writes through a mapping calls nothing at all: only the page
// fault that follows a write-back shows it.
func TestWritesThroughAMappingAreSeen(t *testing.T) {
	d, v, dir := snapshotted(t)
	const size = 1 << 20
	must(t, os.WriteFile(dir+"/mapped", make([]byte, size), 0o600))
	f, err := os.OpenFile(dir+"/mapped", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(m)
	m[4096] = 1 // the page is writable, and dirty, before the copy
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(dir+"/mapped", old, old))
	take(t, d, v, "snap-1", func() {
		m[4096] = 2
		m[size-1] = 3
	})
	got := []byte(content(t, filepath.Join(d.root, ".snapshots/snap-1/data/mapped")))
	if got[4096] != 2 || got[size-1] != 3 {
		t.Errorf("the copy has %d and %d, not 2 and 3", got[4096], got[size-1])
	}
}

func TestASparseFileStaysSparse(t *testing.T) {
	d, v, dir := snapshotted(t)
	f, err := os.Create(dir + "/sparse")
	must(t, err)
	must(t, f.Truncate(1<<30))
	_, err = f.WriteAt([]byte("end"), 1<<29)
	must(t, errors.Join(err, f.Close()))
	if s := take(t, d, v, "snap-1", nil); s.Bytes > 1<<20 {
		t.Errorf("a hole of 1 GiB takes %d bytes", s.Bytes)
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(d.root, ".snapshots/snap-1/data/sparse"), &st))
	if st.Size != 1<<30 || st.Blocks > 100 {
		t.Errorf("size %d, %d blocks", st.Size, st.Blocks)
	}
}

func TestRestoreExchangesAndKeepsWhatWas(t *testing.T) {
	d, v, dir := snapshotted(t)
	put(t, dir+"/file", "first")
	take(t, d, v, "snap-1", nil)
	put(t, dir+"/file", "second")
	r := volume.Restore{ID: "restore-1", Snapshot: "snap-1", Keep: "snap-before"}
	for range 2 { // whoever was killed asks again
		must(t, d.Restore(t.Context(), v, r))
		if got := content(t, dir+"/file"); got != "first" {
			t.Fatalf("restored %q", got)
		}
	}
	if got := content(t, filepath.Join(d.root, ".snapshots/snap-before/data/file")); got != "second" {
		t.Errorf("kept %q", got)
	}
	if s, err := d.Snapshot(t.Context(), "snap-before"); err != nil || s.Method != "rename" {
		t.Errorf("%+v, %v", s, err)
	}
	put(t, dir+"/file", "third")
	must(t, d.Restore(t.Context(), v, r))
	if got := content(t, dir+"/file"); got != "third" {
		t.Errorf("a restore that is over was done again: %q", got)
	}
}

// Killed right after the exchange, the restore goes on from there.
func TestARestoreThatWasKilledGoesOn(t *testing.T) {
	d, v, dir := snapshotted(t)
	put(t, dir+"/file", "first")
	take(t, d, v, "snap-1", nil)
	put(t, dir+"/file", "second")
	r := volume.Restore{ID: "restore-1", Snapshot: "snap-1", Keep: "snap-before"}
	p, err := d.open(v)
	must(t, err)
	must(t, p.prepareRestored(t.Context(), r))
	must(t, p.exchange())
	must(t, p.Close())
	must(t, d.Restore(t.Context(), v, r))
	if now, before := content(t, dir+"/file"), content(t, filepath.Join(d.root, ".snapshots/snap-before/data/file")); now != "first" || before != "second" {
		t.Errorf("the volume has %q, the snapshot %q", now, before)
	}
}

func TestACloneIsAVolumeOfItsOwn(t *testing.T) {
	d, v, dir := snapshotted(t)
	put(t, dir+"/file", "first")
	take(t, d, v, "snap-1", nil)
	clone := volume.Volume{ID: "vol-staging-abc123", Name: "staging", Namespace: "default", Driver: "local", Source: "snap-1"}
	for range 2 {
		must(t, d.Create(t.Context(), clone))
	}
	path, err := d.Stage(t.Context(), clone)
	must(t, err)
	put(t, path+"/file", "mine")
	if got := content(t, dir+"/file"); got != "first" {
		t.Errorf("the original has %q", got)
	}
	must(t, d.DeleteSnapshot(t.Context(), "snap-1"))
	if _, err := d.Snapshot(t.Context(), "snap-1"); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("the snapshot is there: %v", err)
	}
	if got := content(t, path+"/file"); got != "mine" {
		t.Errorf("the clone has %q", got)
	}
}

func TestAnUnfinishedSnapshotLeavesNothing(t *testing.T) {
	d, v, dir := snapshotted(t)
	must(t, os.WriteFile(dir+"/file", bytes.Repeat([]byte("x"), 1<<16), 0o600))
	c, err := d.Capture(t.Context(), v, "snap-1")
	must(t, err)
	must(t, c.Follow(t.Context()))
	must(t, c.Close())
	left, err := os.ReadDir(filepath.Join(d.root, ".snapshots"))
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	err = d.Restore(t.Context(), v, volume.Restore{ID: "r", Snapshot: "snap-1", Keep: "snap-2"})
	if !errors.Is(err, volume.ErrNotFound) || content(t, dir+"/file") == "" {
		t.Errorf("restored from what was not taken: %v", err)
	}
}
