package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

func (s *suite) create(t *testing.T, v volume.Volume) {
	t.Helper()
	if err := s.driver.Create(t.Context(), v); err != nil {
		t.Fatalf("create %s: %v", v.ID, err)
	}
}

func (s *suite) stage(t *testing.T, v volume.Volume) string {
	t.Helper()
	path, err := s.driver.Stage(t.Context(), v)
	if err != nil {
		t.Fatalf("stage %s: %v", v.ID, err)
	}
	if path != s.driver.Path(v) {
		t.Fatalf("staged at %s, Path says %s", path, s.driver.Path(v))
	}
	return path
}

func (s *suite) remove(t *testing.T, v volume.Volume) {
	t.Helper()
	if err := errors.Join(s.driver.Unstage(t.Context(), v), s.driver.Delete(t.Context(), v)); err != nil {
		t.Fatalf("delete %s: %v", v.ID, err)
	}
}

func (s *suite) mustNotStage(t *testing.T, v volume.Volume) {
	t.Helper()
	if path, err := s.driver.Stage(t.Context(), v); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("stage %s without data: %q, %v; want ErrNotFound", v.ID, path, err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, dir, name, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || string(got) != want {
		t.Fatalf("%s: %q, %v; want %q", name, got, err, want)
	}
}

func createStageDelete(t *testing.T, s *suite) {
	v := s.vol("data")
	s.create(t, v)
	dir := s.stage(t, v)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Fatalf("a new volume has %v, %v; want it empty", entries, err)
	}
	write(t, dir, "row", "1")
	s.remove(t, v)
	if _, err := os.Lstat(filepath.Join(dir, "row")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("data is still there after delete: %v", err)
	}
	s.mustNotStage(t, v)
}

func everyCallTwice(t *testing.T, s *suite) {
	v := s.vol("data")
	for range 2 {
		s.create(t, v)
	}
	for range 2 {
		write(t, s.stage(t, v), "row", "1")
	}
	for range 2 {
		if err := s.driver.Unstage(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		s.remove(t, v)
	}
	s.remove(t, s.vol("never-created"))
}

func dataSurvivesRestart(t *testing.T, s *suite) {
	v := s.vol("data")
	s.create(t, v)
	write(t, s.stage(t, v), "row", "1")
	s.restart(t)
	mustRead(t, s.stage(t, v), "row", "1")
	s.restart(t)
	s.remove(t, v)
	s.restart(t)
	s.mustNotStage(t, v)
}

func createKeepsData(t *testing.T, s *suite) {
	v := s.vol("data")
	s.create(t, v)
	write(t, s.stage(t, v), "row", "1")
	s.restart(t)
	s.create(t, v)
	mustRead(t, s.stage(t, v), "row", "1")
}

func stageMakesNothingUp(t *testing.T, s *suite) {
	s.mustNotStage(t, s.vol("never-created"))
}

func lostDataIsNotReplaced(t *testing.T, s *suite) {
	v := s.vol("data")
	s.create(t, v)
	s.Lose(t, v)
	s.mustNotStage(t, v)
	if err := s.driver.Create(t.Context(), v); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("create of a volume that lost its data: %v; want ErrNotFound", err)
	}
	s.restart(t)
	s.mustNotStage(t, v)
	s.remove(t, v)
}

// A volume deleted and made again under its name has another ID, and none of
// the old data; calls that are late for the old one do not touch it.
func namesakesAreStrangers(t *testing.T, s *suite) {
	old, young := s.vol("data"), s.vol("data")
	young.ID = "vol-data-zzz999"
	s.create(t, old)
	write(t, s.stage(t, old), "row", "old")
	if err := s.driver.Create(t.Context(), young); err == nil {
		t.Fatal("a new volume was given the place of one that has data")
	}
	s.mustNotStage(t, young)
	mustRead(t, s.stage(t, old), "row", "old")
	s.remove(t, old)

	s.create(t, young)
	write(t, s.stage(t, young), "row", "young")
	s.mustNotStage(t, old)
	s.remove(t, old)
	mustRead(t, s.stage(t, young), "row", "young")
}

func namespacesDoNotMeet(t *testing.T, s *suite) {
	here, there := s.vol("data"), s.vol("data")
	there.Namespace, there.ID = "prod", "vol-data-prod01"
	s.create(t, here)
	s.create(t, there)
	write(t, s.stage(t, here), "row", "here")
	write(t, s.stage(t, there), "row", "there")
	s.remove(t, here)
	mustRead(t, s.stage(t, there), "row", "there")
}

func deletePrefixOfAnotherName(t *testing.T, s *suite) {
	short, long := s.vol("data"), s.vol("data-2")
	s.create(t, short)
	s.create(t, long)
	write(t, s.stage(t, long), "row", "1")
	s.remove(t, short)
	mustRead(t, s.stage(t, long), "row", "1")
}

func deleteWhileMounted(t *testing.T, s *suite) {
	v := s.vol("data")
	s.create(t, v)
	dir := s.stage(t, v)
	write(t, dir, "row", "1")
	elsewhere := t.TempDir()
	if err := unix.Mount(dir, elsewhere, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("bind mount (run as root): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(elsewhere, unix.MNT_DETACH) })
	if err := s.driver.Delete(t.Context(), v); !errors.Is(err, volume.ErrBusy) {
		t.Fatalf("delete of a mounted volume: %v; want ErrBusy", err)
	}
	mustRead(t, s.stage(t, v), "row", "1")
	if err := unix.Unmount(elsewhere, 0); err != nil {
		t.Fatal(err)
	}
	s.remove(t, v)
}

func hostileNames(t *testing.T, s *suite) {
	for _, name := range []string{"", ".", "..", "../data", "a/b", "/etc", "@prod", ".meta", "-rf", "a\x00b", "a\nb"} {
		for _, v := range []volume.Volume{
			{ID: "vol-x-abc123", Namespace: "default", Name: name, SizeBytes: s.SizeBytes},
			{ID: "vol-x-abc123", Namespace: name, Name: "data", SizeBytes: s.SizeBytes},
			{ID: name, Namespace: "default", Name: "data", SizeBytes: s.SizeBytes},
		} {
			if v.Namespace == "" {
				continue // the default one
			}
			err := s.driver.Create(t.Context(), v)
			if err == nil {
				t.Errorf("create %+v was not refused", v)
			}
			if _, err := s.driver.Stage(t.Context(), v); err == nil {
				t.Errorf("stage %+v was not refused", v)
			}
			if err := s.driver.Delete(t.Context(), v); err == nil {
				t.Errorf("delete %+v was not refused", v)
			}
		}
	}
}

func sideBySide(t *testing.T, s *suite) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			v := s.vol(fmt.Sprintf("data-%d", i))
			v.Namespace = []string{"default", "prod"}[i%2]
			for range 3 {
				path, err := "", s.driver.Create(t.Context(), v)
				if err == nil {
					path, err = s.driver.Stage(t.Context(), v)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(path, "row"), []byte(v.Name), 0o600)
				}
				if err == nil {
					err = s.driver.Delete(t.Context(), v)
				}
				if err != nil {
					t.Errorf("%s: %v", v.Name, err)
				}
			}
		})
	}
	all.Wait()
}
