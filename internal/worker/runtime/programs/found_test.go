//go:build !embed_helpers

package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutEmbeddedHelpersThoseOnThePathAreLinked(t *testing.T) {
	path, dir := t.TempDir(), filepath.Join(t.TempDir(), "helpers")
	t.Setenv("PATH", path)
	if _, err := Install(dir); err == nil || !strings.Contains(err.Error(), "make build") || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("without any, install says %v", err)
	}
	for _, name := range []string{shim, runc, log} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		set, err := Install(dir)
		if err != nil {
			t.Fatal(err)
		}
		for helper, name := range map[string]string{set.Shim: shim, set.Runc: runc, set.Log: log} {
			if target, err := os.Readlink(helper); err != nil || target != filepath.Join(path, name) {
				t.Errorf("%s leads to %s, %v", helper, target, err)
			}
		}
	}
}
