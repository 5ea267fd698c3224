//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bare is the containerd inside Warren, used by somebody else for containers
// that are the same as one of Warren's.
type bare struct {
	client *client.Client
	ctx    context.Context
	image  client.Image
	model  containers.Container
	spec   *oci.Spec
	dir    string
}

// openBare takes the container with that ID as the model of those to come.
func (n *node) openBare(t *testing.T, id string) *bare {
	t.Helper()
	c, err := client.New(filepath.Join(n.runDir(), "containerd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bare{client: c, dir: filepath.Join(n.dir, "bare"), ctx: namespaces.WithNamespace(t.Context(), "bench")}
	warren := namespaces.WithNamespace(t.Context(), "warren")
	model, err := c.LoadContainer(warren, id)
	if err != nil {
		t.Fatal(err)
	}
	if b.model, err = model.Info(warren); err != nil {
		t.Fatal(err)
	}
	if b.spec, err = model.Spec(warren); err != nil {
		t.Fatal(err)
	}
	b.importImage(t)
	return b
}

// importImage gives the namespace the image, unpacked: Warren's is left alone.
func (b *bare) importImage(t *testing.T) {
	t.Helper()
	file, err := os.Open(built(t, ".cache/images/busybox.tar", "images"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	images, err := b.client.Import(b.ctx, file)
	if err != nil || len(images) == 0 {
		t.Fatalf("import: %d images, %v", len(images), err)
	}
	if b.image, err = b.client.GetImage(b.ctx, images[0].Name); err != nil {
		t.Fatal(err)
	}
	if err := b.image.Unpack(b.ctx, b.model.Snapshotter); err != nil {
		t.Fatal(err)
	}
}

// start measures one container in milliseconds, from nothing to its process,
// and removes it.
func (b *bare) start(t *testing.T, id string) float64 {
	t.Helper()
	began := time.Now()
	c := b.run(t, id)
	took := time.Since(began)
	b.remove(t, c)
	return took.Seconds() * 1e3
}

// bareContainer is one of containerd's with its process.
type bareContainer struct {
	client.Container
	task client.Task
}

// run makes a container and starts its process. It may be called by several at
// once.
func (b *bare) run(t *testing.T, id string) *bareContainer {
	spec := b.like(t, id)
	container, err := b.client.NewContainer(b.ctx, id,
		client.WithImage(b.image),
		client.WithSnapshotter(b.model.Snapshotter),
		client.WithNewSnapshot(id, b.image),
		client.WithSpec(spec),
		func(_ context.Context, _ *client.Client, c *containers.Container) error {
			c.Runtime = b.model.Runtime
			return nil
		})
	if err != nil {
		t.Error(err)
		return nil
	}
	task, err := container.NewTask(b.ctx, cio.LogFile(filepath.Join(b.dir, id, "log")))
	if err == nil {
		err = task.Start(b.ctx)
	}
	if err != nil {
		t.Error(err)
	}
	return &bareContainer{container, task}
}

// remove ends a container's process and leaves nothing of it.
func (b *bare) remove(t *testing.T, c *bareContainer) {
	if c == nil {
		return
	}
	if _, err := c.task.Delete(b.ctx, client.WithProcessKill); err != nil {
		t.Error(err)
	}
	if err := c.Delete(b.ctx, client.WithSnapshotCleanup); err != nil {
		t.Error(err)
	}
}

// like returns the model's specification with directories, a network
// namespace and a cgroup of its own.
func (b *bare) like(t *testing.T, id string) *oci.Spec {
	t.Helper()
	spec := *b.spec
	linux := *spec.Linux
	spec.Linux = &linux
	spec.Hostname = id
	linux.CgroupsPath = filepath.Join(filepath.Dir(b.spec.Linux.CgroupsPath), id)
	linux.Namespaces = nil
	for _, ns := range b.spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			ns.Path = "" // runc makes one
		}
		linux.Namespaces = append(linux.Namespaces, ns)
	}
	spec.Mounts = nil
	for i, m := range b.spec.Mounts {
		if m.Type == "bind" {
			m.Source = b.source(t, filepath.Join(id, fmt.Sprint(i)), strings.HasPrefix(m.Destination, "/etc/"))
		}
		spec.Mounts = append(spec.Mounts, m)
	}
	return &spec
}

// source makes a file or directory to be mounted.
func (b *bare) source(t *testing.T, name string, file bool) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	dir := path
	if file {
		dir = filepath.Dir(path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if file {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// close leaves nothing of the namespace behind.
func (b *bare) close() {
	b.client.ImageService().Delete(b.ctx, b.image.Name())
	b.client.NamespaceService().Delete(b.ctx, "bench")
	b.client.Close()
}
