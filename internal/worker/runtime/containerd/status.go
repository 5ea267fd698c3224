package containerd

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// Status returns runtime.ErrNotFound for an unknown container.
func (r *Runtime) Status(ctx context.Context, id string) (runtime.Status, error) {
	ctx = r.in(ctx)
	container, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return runtime.Status{}, fmt.Errorf("look at container %s: %w", id, notFound(err))
	}
	asked, err := asked(ctx, container)
	if err != nil {
		return runtime.Status{}, err
	}
	status := runtime.Status{StopSignal: r.stopSignal(ctx, container), Mounts: asked.Mounts, Labels: asked.Labels}
	task, err := container.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		status.Exit, err = r.exitWithoutTask(id)
		return status, err
	}
	if err != nil {
		return status, fmt.Errorf("look at container %s: %w", id, err)
	}
	now, err := task.Status(ctx)
	if errdefs.IsNotFound(err) { // deleted in its shim, which is still there
		status.Exit, err = r.exitWithoutTask(id)
		return status, err
	}
	if err != nil {
		return status, fmt.Errorf("look at container %s: %w", id, err)
	}
	switch now.Status {
	case client.Created:
	case client.Stopped:
		exit, err := r.runs.ended(id, runtime.Exit{Code: int(now.ExitStatus), At: now.ExitTime})
		if err != nil {
			return status, err
		}
		status.Exit = &exit
	default:
		status.Running, status.Pid = true, int(task.Pid())
	}
	return status, nil
}

// stopSignal is what the container's image wants to be stopped by. One that
// names no signal of this machine is stopped like most.
func (r *Runtime) stopSignal(ctx context.Context, container client.Container) syscall.Signal {
	signal, err := client.GetStopSignal(ctx, container, syscall.SIGTERM)
	if err != nil {
		r.log.Warn("the image's stop signal is not known here; SIGTERM is used", "container", container.ID(), "error", err)
		return syscall.SIGTERM
	}
	return signal
}

// exitWithoutTask is how a container ended that containerd knows no process
// of; nil when it never had one.
func (r *Runtime) exitWithoutTask(id string) (*runtime.Exit, error) {
	run, err := r.runs.get(id)
	if err != nil || run == nil {
		return nil, err
	}
	if run.Exit != nil {
		return run.Exit, nil
	}
	exit, err := r.runs.lost(id)
	return &exit, err
}

// nodeLabel tells the containers of one node from another's, where both use one
// containerd: each takes away what it does not know of its own only.
const nodeLabel = "io.warren.data-dir"

// ContainerIDs lists every container of this node's, running or not.
func (r *Runtime) ContainerIDs(ctx context.Context) ([]string, error) {
	all, err := r.client.ContainerService().List(r.in(ctx), fmt.Sprintf("labels.%q==%q", nodeLabel, r.dataDir))
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ID
	}
	return ids, nil
}

// shimGone is how long containerd may take to clean up after a dead shim.
const shimGone = 10 * time.Second

// Wait returns once the container's process has ended, at once when it already
// has, also if that happened while this program was not running. A container
// that was never started is an error.
func (r *Runtime) Wait(ctx context.Context, id string) (runtime.Exit, error) {
	ctx = r.in(ctx)
	status, err := r.Status(ctx, id)
	if err != nil {
		return runtime.Exit{}, err
	}
	if status.Exit != nil {
		return *status.Exit, nil
	}
	if !status.Running {
		return runtime.Exit{}, fmt.Errorf("wait for container %s: it was not started", id)
	}
	container, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return runtime.Exit{}, fmt.Errorf("wait for container %s: %w", id, notFound(err))
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return r.waitWithoutShim(ctx, id)
	}
	ended, err := task.Wait(ctx)
	if err != nil {
		return runtime.Exit{}, fmt.Errorf("wait for container %s: %w", id, err)
	}
	code, at, err := (<-ended).Result()
	if ctx.Err() != nil {
		return runtime.Exit{}, ctx.Err()
	}
	if err != nil {
		return r.waitWithoutShim(ctx, id)
	}
	return r.runs.ended(id, runtime.Exit{Code: int(code), At: at})
}

// waitWithoutShim waits until containerd has noticed that the shim is gone.
func (r *Runtime) waitWithoutShim(ctx context.Context, id string) (runtime.Exit, error) {
	ctx, cancel := context.WithTimeout(ctx, shimGone)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		status, err := r.Status(ctx, id)
		if err == nil && status.Exit != nil {
			return *status.Exit, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return runtime.Exit{}, fmt.Errorf("wait for container %s: its shim is gone: %w", id, ctx.Err())
		}
	}
}
