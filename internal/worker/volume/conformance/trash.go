package conformance

import (
	"errors"
	"os"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

func (s *suite) trasher(t *testing.T) volume.Trasher {
	t.Helper()
	if !s.driver.Capabilities().Trash {
		t.Skip("the driver has no trash")
	}
	return s.driver.(volume.Trasher)
}

func (s *suite) trash(t *testing.T, v volume.Volume) {
	t.Helper()
	if err := s.trasher(t).Trash(t.Context(), v); err != nil {
		t.Fatalf("trash %s: %v", v.ID, err)
	}
}

func (s *suite) untrash(t *testing.T, v volume.Volume) {
	t.Helper()
	if err := s.trasher(t).Untrash(t.Context(), v); err != nil {
		t.Fatalf("untrash %s: %v", v.ID, err)
	}
}

// While a volume is in the trash another one has its name; it comes back under
// a name of its own.
func trashAndBack(t *testing.T, s *suite) {
	s.trasher(t)
	old, young := s.vol("data"), s.vol("data")
	young.ID = "vol-data-zzz999"
	s.create(t, old)
	write(t, s.stage(t, old), "row", "old")
	s.trash(t, old)
	s.restart(t)
	s.create(t, young)
	write(t, s.stage(t, young), "row", "young")
	old.Name = "data-2"
	s.untrash(t, old)
	mustRead(t, s.stage(t, old), "row", "old")
	s.restart(t)
	mustRead(t, s.stage(t, old), "row", "old")
	mustRead(t, s.stage(t, young), "row", "young")
	s.remove(t, old)
	s.mustNotStage(t, old)
	mustRead(t, s.stage(t, young), "row", "young")
}

// What is in the trash is not staged, is measured, and is deleted from there.
func trashIsNotFound(t *testing.T, s *suite) {
	s.trasher(t)
	v := s.vol("data")
	if err := s.trasher(t).Trash(t.Context(), v); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("trash what was never made: %v; want ErrNotFound", err)
	}
	s.create(t, v)
	write(t, s.stage(t, v), "row", string(make([]byte, 1<<20)))
	s.trash(t, v)
	s.mustNotStage(t, v)
	if s.driver.Capabilities().Usage {
		if usage, err := s.driver.Usage(t.Context(), v); err != nil || usage.Bytes < 1<<20 {
			t.Errorf("usage in the trash: %v, %v", usage, err)
		}
	}
	s.restart(t)
	s.remove(t, v)
	s.untrash(t, v) // nothing to take back is no error
	s.mustNotStage(t, v)
}

func trashTwice(t *testing.T, s *suite) {
	v := s.vol("data")
	s.trasher(t)
	s.create(t, v)
	write(t, s.stage(t, v), "row", "1")
	for range 2 {
		for range 2 {
			s.trash(t, v)
		}
		for range 2 {
			s.untrash(t, v)
		}
		mustRead(t, s.stage(t, v), "row", "1")
	}
}

func trashWhileMounted(t *testing.T, s *suite) {
	s.trasher(t)
	v := s.vol("data")
	s.create(t, v)
	dir := s.stage(t, v)
	write(t, dir, "row", "1")
	elsewhere := t.TempDir()
	if err := unix.Mount(dir, elsewhere, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("bind mount (run as root): %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(elsewhere, unix.MNT_DETACH) })
	if err := s.trasher(t).Trash(t.Context(), v); !errors.Is(err, volume.ErrBusy) {
		t.Fatalf("trash of a mounted volume: %v; want ErrBusy", err)
	}
	mustRead(t, s.stage(t, v), "row", "1")
}

// Nothing that has appeared in its place is replaced by what comes back.
func untrashStopsAtWhatIsThere(t *testing.T, s *suite) {
	s.trasher(t)
	v := s.vol("data")
	s.create(t, v)
	dir := s.stage(t, v)
	write(t, dir, "row", "1")
	s.trash(t, v)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "row", "somebody's")
	err := s.trasher(t).Untrash(t.Context(), v)
	if err == nil {
		_, err = s.driver.Stage(t.Context(), v)
	}
	if !errors.Is(err, volume.ErrBusy) {
		t.Fatalf("something is in its place: %v; want ErrBusy", err)
	}
	mustRead(t, dir, "row", "somebody's")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	s.untrash(t, v)
	mustRead(t, s.stage(t, v), "row", "1")
}
