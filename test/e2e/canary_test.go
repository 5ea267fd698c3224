//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
)

// scanForCanary reads every regular file that the node wrote, its logs among
// them, and fails where the value stands, as it is or in a common encoding.
// The volumes are the user's own business; the rest is Warren's.
func (n *node) scanForCanary(value string) {
	n.t.Helper()
	forms := map[string][]byte{
		"in the clear": []byte(value),
		"in base64":    []byte(base64.StdEncoding.EncodeToString([]byte(value)))[:len(value)],
		"in hex":       []byte(hex.EncodeToString([]byte(value))),
	}
	files := 0
	err := filepath.WalkDir(n.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path == filepath.Join(n.lib(), "volumes") {
			return filepath.SkipDir
		}
		// Memory-only mounts below the run directory are where secrets belong;
		// namespaces look like files and are none.
		if d.IsDir() && (path == filepath.Join(n.runDir(), "secrets") || path == filepath.Join(n.runDir(), "netns")) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for how, form := range forms {
			if bytes.Contains(text, form) {
				n.t.Errorf("%s holds the secret's value %s", path, how)
			}
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	if files < 10 {
		n.t.Fatalf("only %d files were searched: the scan looks in the wrong place", files)
	}
}
