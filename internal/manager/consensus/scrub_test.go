package consensus

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// holding names the files below dir that have the text in them.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestScrubbingLeavesNothingOfWhatWas(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	const canary = "wrapped-under-the-earlier-key"
	for i := range 50 {
		if _, err := c.Propose(t.Context(), put("clusterkeys/self", strings.Repeat(canary, i+1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Propose(t.Context(), put("clusterkeys/self", "now")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Propose(t.Context(), &storepb.Transaction{}); err != nil {
		t.Fatal(err)
	}
	if len(holding(t, c.dir, canary)) == 0 {
		t.Fatal("there is nothing to scrub: the test shows nothing")
	}
	if err := c.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if files := holding(t, c.dir, canary); len(files) > 0 {
		t.Errorf("it is still in %q", files)
	}
	if _, err := c.Propose(t.Context(), put("secret/a", "a")); err != nil {
		t.Errorf("nothing can be written afterwards: %v", err)
	}
	dir := c.dir
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, options(dir))
	if !has(t, again, "secret/a") || !has(t, again, "clusterkeys/self") {
		t.Error("the state is lost")
	}
}
