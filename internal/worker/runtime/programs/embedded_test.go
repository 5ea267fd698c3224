//go:build embed_helpers

package programs

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestEmbeddedHelpersRunAndAreUnpackedOnce(t *testing.T) {
	dir := t.TempDir()
	set, err := Install(dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(set.Runc, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "libseccomp") {
		t.Errorf("runc says %s, %v; want it with seccomp", out, err)
	}
	before, err := os.Stat(set.Shim)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(set.Log, []byte("damaged"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(dir); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(set.Shim); err != nil || !os.SameFile(before, after) {
		t.Errorf("an unchanged helper was replaced: %v", err)
	}
	if info, err := os.Stat(set.Log); err != nil || info.Size() < 100_000 {
		t.Errorf("a damaged helper stays: %v", err)
	}
}
