package hostpath

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
)

func TestOnlyWhatIsNotWarrensOwnIsBound(t *testing.T) {
	base := t.TempDir()
	own, logs := filepath.Join(base, "warren"), filepath.Join(base, "logs")
	for _, dir := range []string{filepath.Join(own, "keys"), logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		os.Symlink(own, filepath.Join(base, "link")), os.Symlink("logs", filepath.Join(base, "log")),
		os.Symlink(filepath.Join(own, "keys"), filepath.Join(logs, "keys")),
	); err != nil {
		t.Fatal(err)
	}
	d := New(filepath.Join(base, "link"))
	for path, want := range map[string]string{
		"logs": logs, "log": logs, "warren-2": "", "warren": "", "warren/keys": "", "link/keys": "", "logs/keys": "", "logs/../warren": "",
	} {
		got, err := d.Stage(t.Context(), volume.HostPath(base+"/"+path))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
		if path == "warren-2" && (!errors.Is(err, volume.ErrNotFound) || !strings.Contains(err.Error(), "on this node")) {
			t.Errorf("what is not there: %v", err)
		}
	}
}
