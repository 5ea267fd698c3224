package agent

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// containerHook makes the container and starts its process. One whose process
// has ended is replaced: it begins with the image's own files again.
type containerHook struct{}

func (containerHook) prepare(ctx context.Context, t *task, want *warrenv1.Task) error {
	status, err := t.a.cfg.Runtime.Status(ctx, t.id)
	switch {
	case errors.Is(err, runtime.ErrNotFound):
	case err != nil:
		return err
	case status.Running:
		return nil // an earlier try was interrupted behind its start
	default:
		if err := t.a.cfg.Runtime.Delete(ctx, t.id); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(t.a.logDir(t.id), 0o700); err != nil {
		return err
	}
	if err := t.a.cfg.Runtime.Create(ctx, t.container(want)); err != nil {
		return err
	}
	return t.a.cfg.Runtime.Start(ctx, t.id)
}

func (containerHook) undo(ctx context.Context, t *task, _ *warrenv1.Task) error {
	if err := t.a.cfg.Runtime.Delete(ctx, t.id); err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return err
	}
	return nil
}

// container says everything that the hooks before made.
func (t *task) container(want *warrenv1.Task) runtime.Container {
	c := want.GetContainer()
	name := want.GetMeta().GetName()
	var env []string
	for _, v := range c.GetEnv() {
		env = append(env, v.GetName()+"="+v.GetValue())
	}
	return runtime.Container{
		ID:       t.id,
		Image:    t.ready.image.Name,
		Args:     c.GetArgs(),
		Env:      env,
		User:     c.GetUser(),
		Hostname: name,
		NetNS:    t.ready.endpoint.NetNSPath,
		Mounts:   t.mounts(),
		LogPath:  t.a.logPath(t.id),

		ReadOnlyRoot:     c.GetReadOnly(),
		AddCapabilities:  c.GetCapAdd(),
		DropCapabilities: c.GetCapDrop(),
		Limits:           limits(c.GetResources(), t.ready.io),
		Labels: map[string]string{
			"warren.task":      name,
			"warren.service":   want.GetService(),
			"warren.namespace": want.GetMeta().GetNamespace(),
			"warren.slot":      strconv.FormatUint(uint64(want.GetSlot()), 10),
		},
	}
}

// mounts are in an order in which none hides another: the network's files,
// the volumes as the service has them, the secrets.
func (t *task) mounts() []runtime.Mount {
	var mounts []runtime.Mount
	e := t.ready.endpoint
	for _, file := range []runtime.Mount{
		{Source: e.HostsPath, Target: "/etc/hosts"},
		{Source: e.HostnamePath, Target: "/etc/hostname"},
		{Source: e.ResolvConfPath, Target: "/etc/resolv.conf"},
	} {
		if file.Source != "" {
			mounts = append(mounts, file)
		}
	}
	mounts = append(mounts, t.ready.volumes...)
	if t.ready.secrets != nil {
		mounts = append(mounts, *t.ready.secrets)
	}
	return mounts
}

func (a *Agent) logDir(taskID string) string { return filepath.Join(a.cfg.DataDir, "logs", taskID) }

func (a *Agent) logPath(taskID string) string { return filepath.Join(a.logDir(taskID), "log") }

func limits(r *warrenv1.Resources, io []runtime.IOLimit) runtime.Limits {
	return runtime.Limits{
		CPUMillis: r.GetCpuLimitMillis(),
		Memory:    r.GetMemoryLimitBytes(),
		Pids:      cmp.Or(r.GetPidsLimit(), spec.DefaultPidsLimit),
		IO:        io,
	}
}
