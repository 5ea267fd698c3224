// Package service turns services into tasks: one for each slot, a new one when
// the slot's last is over, none for slots that are too many or for a service
// that is stopped or deleted.
//
// What has to change is a pure function of a service and its tasks (plan.go).
// It is looked at without a transaction first, and only if there is something
// to do it is worked out again in one, so that a stream of statuses costs no
// log entry. Large services are done in several transactions.
//
// The package is the writer of Task (but for its node and dropped secrets), of
// TaskStatus while a task has no node, and it removes service rows.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
)

// Reconciler makes tasks of services.
type Reconciler struct {
	store *store.Store
	log   *slog.Logger
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, log *slog.Logger) *Reconciler { return &Reconciler{s, log} }

// Run keeps the tasks as the services want them until ctx ends. Run it on the
// leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	return reconcile.Run(ctx, r.store, r.log, r.react,
		store.TableServices, store.TableTasks, store.TableTaskStatus, store.TableAttachments)
}

// react brings every service that the changes concern a step on; one that
// fails does not keep the others waiting.
func (r *Reconciler) react(ctx context.Context, changes store.Changes) error {
	services, err := r.concerned(ctx, changes)
	if err != nil {
		return err
	}
	var failed error
	for _, key := range services {
		if err := r.reconcile(ctx, key); err != nil {
			failed = errors.Join(failed, fmt.Errorf("service %s: %w", key.ID(), err))
		}
	}
	return failed
}

// concerned lists the services to look at.
func (r *Reconciler) concerned(ctx context.Context, changes store.Changes) ([]store.Key, error) {
	services := map[store.Key]struct{}{}
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		if changes.All {
			for key := range tx.Services().Keys() {
				services[key] = struct{}{}
			}
			return nil
		}
		for _, key := range changes.Keys(store.TableServices) {
			services[key] = struct{}{}
		}
		tasks := slices.Concat(changes.Keys(store.TableTasks), changes.Keys(store.TableTaskStatus))
		for _, key := range changes.Keys(store.TableAttachments) {
			tasks = append(tasks, store.KeyOf(key.Namespace(), key.ID()))
		}
		for _, key := range tasks {
			task, err := tx.Tasks().Get(key.Parts()...)
			if errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			services[store.KeyOf(key.Namespace(), task.GetServiceId())] = struct{}{}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(services)), err
}

// reconcile does what one service needs now.
func (r *Reconciler) reconcile(ctx context.Context, key store.Key) error {
	idle := false
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		_, p, err := look(tx, key)
		idle = p.empty()
		return err
	})
	if err != nil || idle {
		return err
	}
	return r.store.Update(ctx, func(tx *store.Tx) error {
		service, p, err := look(&tx.ReadTx, key)
		if err != nil || p.empty() {
			return err
		}
		return apply(tx, service, p)
	})
}
