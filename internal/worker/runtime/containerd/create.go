package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// request is the part of what was asked for at Create that is asked about
// later. It is kept with containerd's record of the container.
type request struct {
	Mounts  []runtime.Mount
	Labels  map[string]string
	LogPath string
}

const requestKey = "warren.io/request"

func init() {
	typeurl.Register(&request{}, "warren.io", "Request")
}

// Create makes the container and its root filesystem, not its process.
func (r *Runtime) Create(ctx context.Context, c runtime.Container) error {
	ctx = r.in(ctx)
	if _, err := r.client.ContainerService().Get(ctx, c.ID); err == nil {
		return nil
	} else if !errdefs.IsNotFound(err) {
		return fmt.Errorf("look for container %s: %w", c.ID, err)
	}
	image, err := r.client.GetImage(ctx, c.Image)
	if err != nil {
		return fmt.Errorf("create container %s: image %s: %w", c.ID, c.Image, notFound(err))
	}
	// The lease keeps the root filesystem until the container refers to it.
	ctx, done, err := r.client.WithLease(ctx)
	if err != nil {
		return fmt.Errorf("create container %s: %w", c.ID, err)
	}
	defer done(context.WithoutCancel(ctx))

	// Left behind when the last attempt was killed half way.
	if err := r.removeRoot(ctx, c.ID); err != nil {
		return fmt.Errorf("create container %s: remove an earlier root filesystem: %w", c.ID, err)
	}
	_, err = r.client.NewContainer(ctx, c.ID,
		client.WithImage(image),
		client.WithSnapshotter(r.snapshotter),
		client.WithNewSnapshot(c.ID, image),
		client.WithNewSpec(specOptions(image, c)...),
		client.WithImageStopSignal(image, "SIGTERM"),
		client.WithRuntime(r.shim, r.runcOptions()),
		client.WithAdditionalContainerLabels(map[string]string{nodeLabel: r.dataDir}),
		client.WithContainerExtension(requestKey, &request{Mounts: c.Mounts, Labels: c.Labels, LogPath: c.LogPath}),
	)
	if err != nil {
		return errors.Join(fmt.Errorf("create container %s: %w", c.ID, err), r.removeRoot(ctx, c.ID))
	}
	return nil
}

// runcOptions tells the shim which runc to use, and a place for what that
// remembers; another containerd has its own.
func (r *Runtime) runcOptions() *runcoptions.Options {
	if r.server == nil {
		return &runcoptions.Options{}
	}
	return &runcoptions.Options{BinaryName: r.helpers.Runc, Root: filepath.Join(r.runDir, "containerd", "runc")}
}

func (r *Runtime) removeRoot(ctx context.Context, id string) error {
	err := r.client.SnapshotService(r.snapshotter).Remove(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// asked returns what was asked for when the container was made.
func asked(ctx context.Context, c client.Container) (request, error) {
	extensions, err := c.Extensions(ctx)
	if err != nil {
		return request{}, notFound(err)
	}
	var asked request
	extension := extensions[requestKey]
	if extension == nil {
		return asked, nil // made by somebody else's ctr
	}
	if err := json.Unmarshal(extension.GetValue(), &asked); err != nil {
		return request{}, fmt.Errorf("read the record of container %s: %w", c.ID(), err)
	}
	return asked, nil
}
