package node

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// JoinManager makes this machine one of a cluster's managers, and runs it
// until ctx ends. A machine that has joined before is started.
func JoinManager(ctx context.Context, o Options, token string) error {
	p, err := prepare(o, "sudo warren manager join --token TOKEN --manager HOST:PORT")
	if err != nil {
		return err
	}
	defer p.close()
	switch {
	case p.initialised && !p.settings.Manager:
		return spec.Problemf(spec.Exists, "node", p.settings.NodeName, "this node is a worker of cluster %s", p.settings.ClusterID).
			WithHint("warren node promote %s, on a manager, makes it one too", p.settings.NodeName)
	case token == "" && !p.initialised:
		return spec.Problemf(spec.Invalid, "node", "", "there is no token to join with").
			WithHint("sudo warren manager join --token TOKEN --manager HOST:PORT, with a token of: warren cluster join-token manager")
	}
	if p.initialised {
		if err := p.sameCluster(token); err != nil {
			return err
		}
		return p.resume(ctx)
	}
	// First, so that a taken address is told before anybody was let in.
	if err := p.listen(); err != nil {
		return err
	}
	if err := p.joinAsManager(ctx, token); err != nil {
		return err
	}
	return p.runManager(ctx)
}

func (p *prepared) joinAsManager(ctx context.Context, text string) error {
	token, err := pki.ParseToken(text)
	if err != nil {
		return spec.Problemf(spec.Invalid, spec.KindToken, "", "%v", err).
			WithHint("warren cluster join-token manager, on a machine of the cluster, makes a new one")
	}
	a, err := p.join(ctx, token, warrenv1.Role_ROLE_MANAGER)
	if err != nil {
		return err
	}
	defer a.UnlockKey.Destroy()
	if p.unlock, err = seal.ParseUnlockKey(string(a.UnlockKey.Bytes())); err != nil {
		return err
	}
	if !a.Autolock {
		if err := keeper.WriteUnlockKey(p.layout.keys(), p.unlock); err != nil {
			return err
		}
	}
	p.settings.Manager = true
	return p.finishJoin()
}
