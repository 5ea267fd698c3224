//go:build bench

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cuemby/warren/internal/testkit/image"
)

// webImage is what loadWeb loads, under two names: an update from one to the
// other replaces all tasks.
var webImages = []string{"docker.io/library/web:1", "docker.io/library/web:2"}

// loadWeb gives the node the image of a small web server that ends in order.
func (n *node) loadWeb(t *testing.T) {
	t.Helper()
	program := filepath.Join(n.dir, "web")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./web")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range webImages {
		made, err := image.Program(name, program)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(n.dir, "web.tar"))
		if err != nil {
			t.Fatal(err)
		}
		if err := image.WriteOCI(file, made); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		n.run(t, "image", "load", file.Name())
	}
}
