package agent

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/network"
)

// networkHook has the task's network namespace connected.
type networkHook struct{}

func (networkHook) prepare(ctx context.Context, t *task, want *warrenv1.Task) (err error) {
	t.ready.endpoint, err = t.a.cfg.Network.Attach(ctx, network.Sandbox{
		TaskID:    t.id,
		Mode:      network.Mode(spec.NetworkModeName(want.GetContainer().GetNetwork())),
		Hostname:  want.GetMeta().GetName(),
		Namespace: want.GetMeta().GetNamespace(),
		ServiceID: want.GetServiceId(),
		Service:   want.GetService(),
		Ports:     portsOf(want),
	})
	return err
}

func (networkHook) undo(ctx context.Context, t *task, _ *warrenv1.Task) error {
	return t.a.cfg.Network.Detach(ctx, t.id)
}
