package programs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceIsAtOnceAndRepairsWhatWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "helper")
	for _, file := range []string{path, path + ".new"} { // the second from a killed attempt
		if err := os.WriteFile(file, []byte("old"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	full := errors.New("disk full")
	err := replace(path, func(temporary string) error {
		if err := os.WriteFile(temporary, []byte("ha"), 0o755); err != nil {
			t.Fatal(err)
		}
		return full
	})
	if b, _ := os.ReadFile(path); !errors.Is(err, full) || string(b) != "old" {
		t.Errorf("after a failure: %q, %v", b, err)
	}
	err = replace(path, func(temporary string) error { return os.WriteFile(temporary, []byte("new"), 0o755) })
	if b, _ := os.ReadFile(path); err != nil || string(b) != "new" {
		t.Errorf("replaced by %q, %v", b, err)
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file stays: %v", err)
	}
}

func TestSameNoticesEveryDifference(t *testing.T) {
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("program"))
	digest := hex.EncodeToString(sum[:])
	path := filepath.Join(dir, "helper")
	for what, one := range map[string]struct {
		content string
		mode    os.FileMode
		want    bool
	}{
		"the same": {"program", 0o755, true}, "other bytes": {"progrom", 0o755, false},
		"cut off": {"progra", 0o755, false}, "not executable": {"program", 0o644, false},
	} {
		if err := os.WriteFile(path, []byte(one.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, one.mode); err != nil {
			t.Fatal(err)
		}
		if got := same(path, len("program"), digest); got != one.want {
			t.Errorf("%s: %v", what, got)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if same(link, len("program"), digest) || same(filepath.Join(dir, "none"), 0, "") {
		t.Error("a link, or nothing, passes for the helper")
	}
}

func TestSumsAreRead(t *testing.T) {
	digest, size, err := parseSum([]byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef 42\n"))
	if err != nil || size != 42 || len(digest) != 64 {
		t.Errorf("read %q, %d, %v", digest, size, err)
	}
	for _, bad := range []string{"", "0123", "0123 x"} {
		if _, _, err := parseSum([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
