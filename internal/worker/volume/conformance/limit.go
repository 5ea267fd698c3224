package conformance

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// limited skips where volumes have no limit.
func (s *suite) limited(t *testing.T) {
	t.Helper()
	if s.SizeBytes == 0 || !s.driver.Capabilities().Size {
		t.Skip("these volumes have no limit")
	}
}

// fill writes until there is no more room, and returns how much there was.
func fill(t *testing.T, dir, name string) (written uint64) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 1<<20)
	for {
		n, err := f.Write(piece)
		written += uint64(n)
		if err == nil {
			continue
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("the writer got %v; want ENOSPC", err)
		}
		return written
	}
}

func limitIsHard(t *testing.T, s *suite) {
	s.limited(t)
	full, neighbour := s.vol("full"), s.vol("neighbour")
	s.create(t, full)
	s.create(t, neighbour)
	dir, beside := s.stage(t, full), s.stage(t, neighbour)
	if n := fill(t, dir, "big"); n > s.SizeBytes || n < s.SizeBytes/2 {
		t.Errorf("a volume of %d bytes took %d", s.SizeBytes, n)
	}
	usage, err := s.driver.Usage(t.Context(), full)
	if err != nil || usage.Capacity == 0 || usage.Bytes < usage.Capacity*95/100 {
		t.Errorf("usage of a full volume: %+v, %v", usage, err)
	}
	write(t, beside, "row", "1")
	mustRead(t, beside, "row", "1")
	if err := os.Remove(filepath.Join(dir, "big")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "row", "there is room again")
}

func limitGrows(t *testing.T, s *suite) {
	s.limited(t)
	r := s.driver.(volume.Resizer)
	v := s.vol("data")
	s.create(t, v)
	dir := s.stage(t, v)
	write(t, dir, "row", "1")
	before := fill(t, dir, "big")
	v.SizeBytes *= 2
	for range 2 {
		limit, err := r.Resize(t.Context(), v)
		if err != nil || limit != v.SizeBytes {
			t.Fatalf("resize: %d, %v; want %d", limit, err, v.SizeBytes)
		}
	}
	if more := fill(t, dir, "more"); before+more < s.SizeBytes*5/4 {
		t.Errorf("after growing from %d to %d it takes %d", s.SizeBytes, v.SizeBytes, before+more)
	}
	mustRead(t, dir, "row", "1")
	s.restart(t)
	v.SizeBytes = s.SizeBytes
	if limit, err := r.Resize(t.Context(), v); err != nil || limit != 2*s.SizeBytes {
		t.Errorf("resize to less: %d, %v; want it to stay", limit, err)
	}
}
