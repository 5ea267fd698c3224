//go:build e2e

package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/worker/runtime"
)

func TestAnotherContainerdCanBeUsed(t *testing.T) {
	server := begin(t) // which plays the other one
	// It has its own shim and runc.
	t.Setenv("PATH", filepath.Dir(server.helpers.Shim)+":"+os.Getenv("PATH"))
	dir := directory(t)
	o := options(dir)
	o.Address = server.Address()
	r, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w := world{r, t}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	if code, output := w.run(sh(r, "guest", "echo hello; exit 3")); code != 3 || output != "hello\n" {
		t.Errorf("code %d, printed %q", code, output)
	}
	start(t, r, sh(r, "idle", "exec sleep 1000"))
	if code, out, _ := w.exec(runtime.Exec{Args: []string{"hostname"}}); code != 0 || out != "idle\n" {
		t.Errorf("the command ended with %d, printed %q", code, out)
	}
	if err := r.ViewRoot(t.Context(), busybox, func(root string) error {
		_, err := os.Stat(filepath.Join(root, "etc/passwd"))
		return err
	}); err != nil {
		t.Error(err)
	}
	if err := r.Delete(t.Context(), "idle"); err != nil {
		t.Error(err)
	}
}

func TestAnotherContainerdThatDoesNotAnswerIsNamed(t *testing.T) {
	dir := directory(t)
	o := options(dir)
	o.Address = filepath.Join(dir, "nobody.sock")
	if r, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.Address) {
		t.Errorf("opened %v, %v", r, err)
	}
}
