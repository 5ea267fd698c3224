package node

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/metrics"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/version"
)

// openState opens the replicated state and waits until this manager leads;
// with bootstrap it begins a new one.
func openState(ctx context.Context, p *prepared, bootstrap bool) (*state, error) {
	node, err := consensus.Open(consensus.Options{
		DataDir: p.layout.state(), NodeID: p.settings.NodeID, BootID: p.options.BootID,
		Logger: p.log.With("room", "consensus"),
	})
	if err != nil {
		return nil, err
	}
	s := &state{consensus: node, store: store.New(node)}
	if bootstrap {
		if err := node.Bootstrap(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if err := node.WaitLeading(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *state) close() error { return s.consensus.Close() }

// run starts what the node's settings ask for and returns when ctx ends or a
// part of it cannot go on. Containers keep running.
func (p *prepared) run(ctx context.Context, s *state, v *vault.Vault) (err error) {
	defer func() {
		v.Close()
		err = errors.Join(err, s.close())
	}()
	source, err := nodeCertificate(p, v)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.NewState(version.Version, func() (metrics.Snapshot, error) { return s.numbers(ctx) }))
	var ready readiness
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(ctx, p.http, p.settings, &ready, registry) })
	g.Go(func() error { return newManager(p, s, v, source).run(ctx, &ready) })
	g.Go(func() error { return p.work(ctx, source, &ready) })
	p.log.Info("warren is running", "version", version.Version, "node", p.settings.NodeName,
		"address", p.tcp.Addr().String(), "metrics", p.http.Addr().String(), "data_dir", p.layout.Data)
	return g.Wait()
}

// work is the worker's life beside the manager's.
func (p *prepared) work(ctx context.Context, source *pki.CertificateSource, ready *readiness) error {
	w, err := newWorker(ctx, p, source)
	if err != nil {
		return err
	}
	return errors.Join(w.run(ctx, ready), w.close())
}
