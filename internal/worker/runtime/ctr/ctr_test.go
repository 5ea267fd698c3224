package ctr

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutANodeItSaysHowToStartOne(t *testing.T) {
	err := Run(t.Context(), filepath.Join(t.TempDir(), "containerd.sock"), []string{"tasks", "list"})
	if err == nil || !strings.Contains(err.Error(), "warren manager start") {
		t.Errorf("run says %v", err)
	}
}
