package containerd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"syscall"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// Start runs the container's process; on one that runs or has ended it does
// nothing.
func (r *Runtime) Start(ctx context.Context, id string) error {
	ctx = r.in(ctx)
	container, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return fmt.Errorf("start container %s: %w", id, notFound(err))
	}
	before, err := r.runs.get(id)
	if err != nil || before != nil {
		return err
	}
	asked, err := asked(ctx, container)
	if err != nil {
		return err
	}
	task, err := container.Task(ctx, nil)
	switch {
	case errdefs.IsNotFound(err):
		if task, err = container.NewTask(ctx, r.logTo(asked.LogPath)); err != nil {
			return fmt.Errorf("start container %s: %w", id, err)
		}
	case err != nil:
		return fmt.Errorf("start container %s: %w", id, err)
	default:
		if status, err := task.Status(ctx); err == nil && status.Status != client.Created {
			return r.runs.started(id) // killed before it could be noted
		}
	}
	if err := task.Start(ctx); err != nil {
		_, deleteErr := task.Delete(context.WithoutCancel(ctx), client.WithProcessKill)
		return errors.Join(fmt.Errorf("start container %s: %w", id, err), deleteErr)
	}
	return r.runs.started(id)
}

// logTo makes the shim start the helper that writes the log.
func (r *Runtime) logTo(path string) cio.Creator {
	if path == "" {
		return cio.NullIO
	}
	// Only version 2 notices a helper that does not come up.
	scheme := "binary-v2"
	if r.server == nil {
		scheme = "binary"
	}
	return cio.LogURI(&url.URL{
		Scheme:   scheme,
		Path:     r.helpers.Log,
		RawQuery: url.Values{"path": {path}}.Encode(),
	})
}

// Signal is delivered to the container's first process, if it runs.
func (r *Runtime) Signal(ctx context.Context, id string, signal syscall.Signal) error {
	ctx = r.in(ctx)
	container, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return fmt.Errorf("signal container %s: %w", id, notFound(err))
	}
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signal container %s: %w", id, err)
	}
	if err := task.Kill(ctx, signal); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("send %s to container %s: %w", signal, id, err)
	}
	return nil
}

// Delete kills what still runs and removes the container and its root
// filesystem. Its log files stay, because a container that is restarted goes
// on writing them; package logs removes them.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	ctx = r.in(ctx)
	container, err := r.client.LoadContainer(ctx, id)
	switch {
	case errdefs.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("delete container %s: %w", id, err)
	default:
		if err := r.deleteTask(ctx, container); err != nil {
			return fmt.Errorf("delete container %s: %w", id, err)
		}
		if err := container.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete container %s: %w", id, err)
		}
	}
	if err := r.removeRoot(ctx, id); err != nil {
		return fmt.Errorf("delete container %s: root filesystem: %w", id, err)
	}
	return r.runs.forget(id)
}

func (r *Runtime) deleteTask(ctx context.Context, container client.Container) error {
	task, err := container.Task(ctx, nil)
	if err == nil {
		_, err = task.Delete(ctx, client.WithProcessKill)
	}
	if errdefs.IsNotFound(err) {
		// The client takes a shim without a container for no task. It is what a
		// deletion leaves that was interrupted, and goes when asked past it.
		_, err = r.client.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: container.ID()})
		err = errgrpc.ToNative(err)
	}
	if r.server != nil {
		// A shim that was killed takes its time, and fails meanwhile.
		if goneErr := r.server.shimGone(ctx, container.ID()); goneErr != nil {
			return errors.Join(err, goneErr)
		}
		return nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

var _ runtime.Containers = (*Runtime)(nil)
