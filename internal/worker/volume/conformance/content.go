package conformance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
)

func usageGrows(t *testing.T, s *suite) {
	if !s.driver.Capabilities().Usage {
		t.Skip("the driver does not measure")
	}
	v := s.vol("data")
	if _, err := s.driver.Usage(t.Context(), v); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("usage of nothing: %v; want ErrNotFound", err)
	}
	s.create(t, v)
	dir := s.stage(t, v)
	before, err := s.driver.Usage(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "row", strings.Repeat("x", 1<<20))
	after, err := s.driver.Usage(t.Context(), v)
	if err != nil || after.Bytes < before.Bytes+1<<20 || after.Bytes > before.Bytes+2<<20 {
		t.Fatalf("1 MiB more changed the usage from %v to %v, %v", before, after, err)
	}
}

func (s *suite) populator(t *testing.T) volume.Populator {
	t.Helper()
	if !s.driver.Capabilities().Populate {
		t.Skip("the driver does not populate")
	}
	return s.driver.(volume.Populator)
}

// image is a directory as an image may have it at a volume's path.
func image(t *testing.T, text string) string {
	dir := t.TempDir()
	write(t, dir, "seed", text)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Chown(dir, 999, 998), os.Chmod(dir, 0o750)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func populateOnce(t *testing.T, s *suite) {
	p := s.populator(t)
	v := s.vol("data")
	if err := p.Populate(t.Context(), v, image(t, "1")); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("populate nothing: %v; want ErrNotFound", err)
	}
	s.create(t, v)
	dir := s.stage(t, v)
	if err := p.Populate(t.Context(), v, image(t, "1")); err != nil {
		t.Fatal(err)
	}
	mustRead(t, dir, "seed", "1")
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Fatalf("mode of the image's directory was not taken over: %v, %v", info.Mode(), err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "seed")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	// Emptied by its user, and empty it stays.
	if err := p.Populate(t.Context(), v, image(t, "2")); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Fatalf("populated a second time: %v, %v", entries, err)
	}
}

func populateLeavesDataAlone(t *testing.T, s *suite) {
	p := s.populator(t)
	v := s.vol("data")
	s.create(t, v)
	dir := s.stage(t, v)
	write(t, dir, "row", "mine")
	if err := p.Populate(t.Context(), v, image(t, "1")); err != nil {
		t.Fatal(err)
	}
	mustRead(t, dir, "row", "mine")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Fatalf("a volume with data was populated: %v, %v", entries, err)
	}
}

func populateSurvivesRestart(t *testing.T, s *suite) {
	s.populator(t)
	v := s.vol("data")
	s.create(t, v)
	if err := s.populator(t).Populate(t.Context(), v, image(t, "1")); err != nil {
		t.Fatal(err)
	}
	s.restart(t)
	dir := s.stage(t, v)
	mustRead(t, dir, "seed", "1")
	write(t, dir, "seed", "2")
	if err := s.populator(t).Populate(t.Context(), v, image(t, "3")); err != nil {
		t.Fatal(err)
	}
	mustRead(t, dir, "seed", "2")
}
