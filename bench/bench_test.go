//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// rounds is how often most things are measured.
const rounds = 25

// result is what all measurements of this run add to.
var result = newReport()

// TestMain writes results.txt. A measurement fails when something cannot be
// measured, not when an aim is missed: that is for a person to judge, who knows
// what else the machine did.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "this starts containers, so it needs root: sudo make bench")
		os.Exit(1)
	}
	code := m.Run()
	text := result.String()
	fmt.Print("\n" + text)
	if err := os.WriteFile("results.txt", []byte(text), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// built returns the absolute path of something that make builds.
func built(t *testing.T, path, target string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", path))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; make it with: make %s", err, target)
	}
	return path
}

// shortDir makes a directory whose name is short enough for sockets in it, on
// the disk that is measured. It is removed at the end, unless something is
// still mounted there.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "wb-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left := mountsBelow(t, dir); len(left) > 0 {
			t.Errorf("left mounted, so %s is not removed: %v", dir, left)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
