package node

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/cuemby/warren/internal/metrics"
	"github.com/cuemby/warren/internal/version"
)

// opening gives the state of a manager.
type opening func() (*state, error)

// run starts what the node's settings ask for and returns when ctx ends or a
// part of it cannot go on. Containers keep running. The worker does not wait
// for the manager: its containers have to go on whether or not there is one.
func (p *prepared) run(ctx context.Context, open opening) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var ready readiness
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(ctx, p.http, p.settings, &ready, registry) })
	g.Go(func() error { return p.manage(ctx, open, &ready, registry) })
	if p.settings.Worker {
		g.Go(func() error { return p.work(ctx, &ready) })
	}
	p.log.Info("warren is running", "version", version.Version, "node", p.settings.NodeName,
		"address", p.tcp.Addr().String(), "metrics", p.http.Addr().String(), "data_dir", p.layout.Data)
	return g.Wait()
}

// manage is the manager's life.
func (p *prepared) manage(ctx context.Context, open opening, ready *readiness, registry *prometheus.Registry) error {
	s, err := open()
	if err != nil {
		return err
	}
	links := p.port.Links()
	keys, err := openKeys(ctx, p, s, links)
	switch {
	case err == nil:
		registry.MustRegister(metrics.NewState(version.Version, func() (metrics.Snapshot, error) { return s.numbers(ctx) }))
		err = newManager(p, s, keys, links).run(ctx, ready)
		keys.Close()
	case ctx.Err() != nil:
		err = nil // stopped while it waited
	}
	return errors.Join(err, links.Close(), s.close())
}

// work is the worker's life beside the manager's.
func (p *prepared) work(ctx context.Context, ready *readiness) error {
	source := p.identity.wait(ctx)
	if source == nil {
		return nil
	}
	w, err := newWorker(ctx, p, source)
	if err != nil {
		return err
	}
	return errors.Join(w.run(ctx, ready), w.close())
}
