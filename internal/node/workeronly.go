package node

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/version"
	"github.com/cuemby/warren/internal/worker/agent"
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
	case p.initialised && p.settings.Manager:
		return spec.Problemf(spec.Refused, "node", p.settings.NodeName, "this node is a manager of cluster %s", p.settings.ClusterID).
			WithHint("sudo warren manager start --data-dir %s", p.layout.Data)
	case !p.initialised && token == "":
		return spec.Problemf(spec.Refused, "node", "", "%s has not joined a cluster", p.layout.Data).
			WithHint("sudo warren worker start --token TOKEN --manager HOST:PORT, with a token of: warren cluster join-token worker")
	}
	if p.http, err = listenTCP(p.settings.MetricsAddr, "--metrics-addr"); err != nil {
		return err
	}
	if p.initialised {
		err = p.sameCluster(token)
	} else {
		err = p.joinAsWorker(ctx, token)
	}
	if err != nil {
		return err
	}
	return p.runWorker(ctx)
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

// runWorker works until ctx ends or the node is taken out of the cluster.
func (p *prepared) runWorker(ctx context.Context) error {
	c, err := readNodeCertificate(p)
	if err != nil {
		return err
	}
	if err := p.use(c); err != nil {
		return err
	}
	source := p.identity.source
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var ready readiness
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(ctx, p.http, p.settings, &ready, registry) })
	g.Go(func() error { return p.renewAtManager(ctx, source) })
	g.Go(func() error { return p.work(ctx, &ready) })
	p.log.Info("warren is running", "version", version.Version, "node", p.settings.NodeName,
		"managers", p.managers(), "metrics", p.http.Addr().String(), "data_dir", p.layout.Data)
	if err := g.Wait(); !errors.Is(err, agent.ErrRemoved) {
		return err
	}
	return p.forgetCluster()
}

// forgetCluster makes a node that was taken out of its cluster one that may
// join again. The data of volumes stays.
func (p *prepared) forgetCluster() error {
	p.log.Warn("this node left its cluster; what volumes had on it stays", "cluster", p.settings.ClusterID, "volumes", p.layout.volumes())
	for _, path := range []string{p.layout.settings(), p.layout.identity()} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return syncDir(p.layout.Data)
}

// renewAtManager has the certificate renewed in time, by any manager.
func (p *prepared) renewAtManager(ctx context.Context, source *pki.CertificateSource) error {
	tick := time.NewTicker(renewalCheck)
	defer tick.Stop()
	for {
		if time.Now().After(source.Current().RenewAt()) {
			if err := p.renewOnce(ctx, source); err != nil && ctx.Err() == nil {
				p.log.Error("the node's certificate was not renewed; it is tried again", "expires", source.Current().NotAfter(), "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *prepared) renewOnce(ctx context.Context, source *pki.CertificateSource) error {
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	request, err := key.Request()
	if err != nil {
		return err
	}
	conn, err := p.dialer(source)(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := warrenv1.NewJoiningClient(conn).Renew(ctx, &warrenv1.RenewRequest{CertificateRequest: request})
	if err != nil {
		return err
	}
	old, err := pki.ReadBundle(p.layout.identity())
	if err != nil {
		return err
	}
	old.Key.Destroy()
	fresh, err := pki.NewBundle(old.CA, answer.GetCertificate(), key)
	if err != nil {
		return err
	}
	defer fresh.Key.Destroy()
	credential, err := fresh.Parse()
	if err != nil {
		return err
	}
	if err := pki.WriteBundle(p.layout.identity(), fresh); err != nil {
		return err
	}
	return source.Swap(credential)
}
