package node

import (
	"context"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/cuemby/warren/internal/metrics"
	"github.com/cuemby/warren/internal/version"
	"github.com/cuemby/warren/internal/worker/agent"
)

// opening gives the state of a manager.
type opening func() (*state, error)

// run does what the node's settings ask for, and what its cluster makes of it
// later, and returns when ctx ends, the node is taken out of its cluster, or a
// part of it cannot go on. Containers keep running. The worker does not wait
// for the manager: its containers have to go on whether or not there is one.
func (p *prepared) run(ctx context.Context, open opening) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.Disk(p.layout.space))
	var ready readiness
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.serveHTTP(ctx, &ready, registry) })
	g.Go(func() error { return p.manageWhileManager(ctx, open, &ready, registry) })
	g.Go(func() error { return p.renewAtManager(ctx) })
	if p.settings.Worker {
		g.Go(func() error { return p.work(ctx, &ready) })
	}
	p.log.Info("warren is running", "version", version.Version, "node", p.settings.NodeName, "roles", roleWords(p.present()),
		"metrics", p.http.Addr().String(), "data_dir", p.layout.Data)
	if err := g.Wait(); !errors.Is(err, agent.ErrRemoved) {
		return err
	}
	return p.forgetCluster()
}

// manageWhileManager is the manager's life, as often as the node is one.
func (p *prepared) manageWhileManager(ctx context.Context, open opening, ready *readiness, registry *prometheus.Registry) error {
	for ctx.Err() == nil {
		if !p.isManager() {
			if err := p.awaitPromotion(ctx); err != nil {
				return err
			}
			open = p.openState
			continue
		}
		err := p.manage(ctx, open, ready, registry)
		if !errors.Is(err, errRetired) {
			return err
		}
		ready.manager.Store(false)
		if err := p.retire(); err != nil {
			return err
		}
		if !p.settings.Worker {
			return agent.ErrRemoved
		} // else the worker's session says whether it is one still
	}
	return nil
}

// manage is the manager's life; errRetired says that the node is none any more.
func (p *prepared) manage(ctx context.Context, open opening, ready *readiness, registry *prometheus.Registry) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	forget := p.onDemotion(func() { end(errRetired) })
	defer forget()
	s, err := open()
	if err != nil {
		return err
	}
	links := p.port.Links()
	keys, err := openKeys(ctx, p, s, links)
	switch {
	case err == nil:
		collector := metrics.NewState(version.Version, func() (metrics.Snapshot, error) { return s.numbers(ctx) })
		registry.MustRegister(collector)
		defer registry.Unregister(collector)
		err = newManager(p, s, keys, links).run(ctx, ready)
		keys.Close()
	case ctx.Err() != nil:
		err = nil // stopped while it waited
	}
	return errors.Join(retiredOrNil(ctx), err, links.Close(), s.close())
}

func retiredOrNil(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, errRetired) {
		return cause
	}
	return nil
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

// candidates are the managers to ask, in order: a manager asks itself first,
// over TCP like any other.
func (p *prepared) candidates() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	others := slices.Clone(p.settings.Managers)
	if !p.settings.Manager {
		return others
	}
	others = slices.DeleteFunc(others, func(a string) bool { return a == p.settings.AdvertiseAddr })
	return append([]string{reachable(p.settings.ListenAddr)}, others...)
}
