package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readiness says whether the node does its work: a manager has a leader and is
// unlocked, a worker has a session.
type readiness struct {
	manager, worker atomic.Bool
	// sealed tells whether the manager's keys are closed; nil before there are any.
	sealed atomic.Pointer[func() bool]
}

func (r *readiness) ready(manager, worker bool) (bool, string) {
	switch {
	case manager && !r.manager.Load():
		return false, "the manager is starting"
	case manager && (*r.sealed.Load())():
		return false, "the manager is sealed: warren cluster unlock"
	case worker && !r.worker.Load():
		return false, "the worker has no session with a manager"
	}
	return true, "ready"
}

// serveHTTP answers /health (the process lives), /ready (it does its work) and
// /metrics until ctx ends.
func (p *prepared) serveHTTP(ctx context.Context, r *readiness, registry *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		ok, why := r.ready(p.isManager(), p.settings.Worker)
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, why)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(p.http); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
