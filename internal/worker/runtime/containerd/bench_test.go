//go:build e2e

package containerd

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// BenchmarkStart is a container's way from nothing to its process running.
func BenchmarkStart(b *testing.B) {
	r := begin(b)
	for b.Loop() {
		start(b, r, sh(r, "bench", "exec sleep 1000"))
		b.StopTimer()
		if err := r.Delete(b.Context(), "bench"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkRunc is the same container by runc alone, which bounds BenchmarkStart.
func BenchmarkRunc(b *testing.B) {
	r := begin(b)
	c := sh(r, "bench", "exec sleep 1000")
	if err := r.Create(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	ctx := r.in(b.Context())
	container, err := r.client.LoadContainer(ctx, "bench")
	if err != nil {
		b.Fatal(err)
	}
	spec, err := container.Spec(ctx)
	if err != nil {
		b.Fatal(err)
	}
	mounts, err := r.client.SnapshotService(r.snapshotter).Mounts(ctx, "bench")
	if err != nil {
		b.Fatal(err)
	}
	bundle := b.TempDir()
	spec.Root = &specs.Root{Path: filepath.Join(bundle, "rootfs")}
	config, err := json.Marshal(spec)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(spec.Root.Path, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := mount.All(mounts, spec.Root.Path); err != nil {
		b.Fatal(err)
	}
	defer mount.UnmountAll(spec.Root.Path, 0)
	runc := func(args ...string) {
		if out, err := exec.Command(r.helpers.Runc, append([]string{"--root", filepath.Join(bundle, "state")}, args...)...).Output(); err != nil {
			b.Fatalf("runc %v: %v: %s", args, err, out)
		}
	}
	for b.Loop() {
		cmd := exec.Command(r.helpers.Runc, "--root", filepath.Join(bundle, "state"), "run", "-d", "-b", bundle, "alone")
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		runc("delete", "-f", "alone")
		b.StartTimer()
	}
}
