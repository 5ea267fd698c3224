//go:build !embed_helpers

package programs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// packages name where a helper that is missing comes from.
var packages = map[string]string{
	shim: "run `apt-get install containerd`",
	runc: "run `apt-get install runc`",
	log:  "run `go build -o /usr/local/bin/ ./cmd/warren-log`",
}

// install links to the helper that is found on this machine.
func install(dir, name string) error {
	found, err := find(name)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if target, err := os.Readlink(path); err == nil && target == found {
		return nil
	}
	return replace(path, func(temporary string) error { return os.Symlink(found, temporary) })
}

func find(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("this build of warren has no helpers inside and none was found: "+
			"build it with `make build`, or %s: %w", packages[name], err)
	}
	return filepath.Abs(found)
}
