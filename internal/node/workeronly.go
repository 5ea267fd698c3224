package node

import (
	"context"
	"os"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// StartWorker runs a worker until ctx ends. The first time it joins the
// cluster with the token; later it needs none.
func StartWorker(ctx context.Context, o Options, token string) error {
	command := "sudo warren worker start"
	if token != "" {
		command += " --token TOKEN --manager HOST:PORT"
	}
	p, err := prepare(o, command)
	if err != nil {
		return err
	}
	defer p.close()
	switch {
	case !p.initialised && token == "":
		return spec.Problemf(spec.Refused, "node", "", "%s has not joined a cluster", p.layout.Data).
			WithHint("sudo warren worker start --token TOKEN --manager HOST:PORT, with a token of: warren cluster join-token worker")
	}
	if p.initialised {
		if err := p.sameCluster(token); err != nil {
			return err
		}
		return p.resume(ctx)
	}
	if p.http, err = listenTCP(p.settings.MetricsAddr, "--metrics-addr"); err != nil {
		return err
	}
	if err := p.joinAsWorker(ctx, token); err != nil {
		return err
	}
	return p.runWorker(ctx)
}

// resume runs a node as what it was when it stopped: it may have been promoted
// or demoted since it was set up.
func (p *prepared) resume(ctx context.Context) (err error) {
	if p.settings.Manager {
		if err := p.listen(); err != nil {
			return err
		}
		if err := clearInitMark(p.layout); err != nil {
			return err
		}
		if p.options.Rejoin {
			if err := p.discardState(); err != nil {
				return err
			}
		}
		return p.runManager(ctx)
	}
	if p.http, err = listenTCP(p.settings.MetricsAddr, "--metrics-addr"); err != nil {
		return err
	}
	return p.runWorker(ctx)
}

// runWorker runs a node that is no manager, for as long as it is none.
func (p *prepared) runWorker(ctx context.Context) error {
	c, err := readNodeCertificate(p)
	if err != nil {
		return err
	}
	if err := p.use(c); err != nil {
		return err
	}
	return p.run(ctx, nil)
}

func (p *prepared) joinAsWorker(ctx context.Context, token string) error {
	t, err := parseToken(token)
	if err != nil {
		return err
	}
	if _, err := p.join(ctx, t, warrenv1.Role_ROLE_WORKER); err != nil {
		return err
	}
	p.settings.Worker = true
	return p.finishJoin()
}

// forgetCluster makes a node that was taken out of its cluster one that may
// join again. The data of volumes stays.
func (p *prepared) forgetCluster() error {
	p.log.Warn("this node left its cluster; what volumes had on it stays", "cluster", p.settings.ClusterID, "volumes", p.layout.volumes())
	for _, path := range []string{p.layout.settings(), p.layout.identity(), p.layout.keys()} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return syncDir(p.layout.Data)
}
