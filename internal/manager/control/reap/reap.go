// Package reap forgets what nobody will ask for again: all but a slot's last
// few tasks, and requests whose retries can no longer come. (Events forget
// themselves: the store keeps the last so many.)
package reap

import (
	"context"
	"log/slog"
	"sync"

	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
)

// maxBatch bounds the rows that one transaction removes.
const maxBatch = 256

// Reconciler forgets.
type Reconciler struct {
	store *store.Store
	log   *slog.Logger
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, log *slog.Logger) *Reconciler { return &Reconciler{s, log} }

// Run forgets until ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var requests sync.WaitGroup
	requests.Go(func() { r.forgetRequests(ctx) })
	defer requests.Wait()
	return reconcile.Run(ctx, r.store, r.log, r.forgetTasks, store.TableTasks, store.TableTaskStatus, store.TableAttachments)
}
