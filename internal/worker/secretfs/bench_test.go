package secretfs

import (
	"path/filepath"
	"testing"

	"github.com/cuemby/warren/internal/seal"
)

// What a task with one secret pays, from nothing to mounted and back.
func BenchmarkMountWriteWipe(b *testing.B) {
	p, err := seal.PlaintextFrom(make([]byte, 1<<10))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Destroy()
	f := open(b, filepath.Join(b.TempDir(), "secrets"), kinds...)
	for b.Loop() {
		if _, err := f.Mount("task", Capacity(1<<10)); err != nil {
			b.Fatal(err)
		}
		if err := f.Write("task", File{Target: "a"}, Value{Plaintext: p}); err != nil {
			b.Fatal(err)
		}
		if err := f.Wipe("task"); err != nil {
			b.Fatal(err)
		}
	}
}
