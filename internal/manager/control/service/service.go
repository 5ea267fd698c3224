// Package service turns services into tasks: one for each slot, a new one when
// the slot's last is over, none for slots that are too many or for a service
// that is stopped or deleted.
//
// What has to change is a pure function of a service and its tasks (plan.go).
// It is looked at without a transaction first, and only if there is something
// to do it is worked out again in one, so that a stream of statuses costs no
// log entry. Large services are done in several transactions.
//
// It also brings services to new versions of their secrets: see follow.go.
//
// The package is the writer of Task (but for its node and dropped secrets), of
// TaskStatus while a task has no node, and of ServiceUpdate; it removes service
// rows, and gives a service its earlier spec again when an update fails.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// Reconciler makes tasks of services.
type Reconciler struct {
	store  *store.Store
	log    *slog.Logger
	alarms *reconcile.Alarms
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, log *slog.Logger) *Reconciler {
	return &Reconciler{s, log, reconcile.NewAlarms()}
}

// Run keeps the tasks as the services want them until ctx ends. Run it on the
// leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var ringing sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer ringing.Wait()
	defer cancel()
	ringing.Go(func() { r.alarms.Run(ctx, func(service store.Key) { r.ring(ctx, service) }) })
	return reconcile.Run(ctx, r.store, r.log, r.react,
		store.TableServices, store.TableTasks, store.TableTaskStatus, store.TableAttachments, store.TableNodes, store.TableNodeStatus,
		store.TableSecrets)
}

// ring brings a service on whose time has come.
func (r *Reconciler) ring(ctx context.Context, service store.Key) {
	if err := r.reconcile(ctx, service); err != nil && ctx.Err() == nil {
		r.log.Error("an update could not go on; trying again", "service", service.ID(), "error", err)
		r.alarms.Set(service, time.Now().Add(time.Second))
	}
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
		if changes.Any(store.TableNodes, store.TableNodeStatus) {
			for key, s := range tx.Services().List() {
				if spec.IsGlobal(s.GetSpec()) {
					services[key] = struct{}{}
				}
			}
		}
		for _, key := range changes.Keys(store.TableSecrets) {
			uses, err := tx.Uses().Peek(key.Parts()...)
			if unlessNotFound(err) != nil {
				return err
			}
			for _, id := range uses.GetServiceIds() {
				services[store.KeyOf(key.Namespace(), id)] = struct{}{}
			}
		}
		tasks := slices.Concat(changes.Keys(store.TableTasks), changes.Keys(store.TableTaskStatus))
		for _, key := range changes.Keys(store.TableAttachments) {
			tasks = append(tasks, store.KeyOf(key.Namespace(), key.ID()))
		}
		for _, node := range slices.Concat(changes.Keys(store.TableNodes), changes.Keys(store.TableNodeStatus)) {
			for key := range tx.Tasks().OfNode(node.ID()) {
				tasks = append(tasks, key)
			}
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
		w, err := look(tx, key, time.Now())
		if err != nil || w == nil {
			idle = true
			return err
		}
		p := makePlan(w)
		idle = p.empty()
		r.alarms.Set(key, p.wake)
		return nil
	})
	if err != nil || idle {
		return err
	}
	return r.store.Update(ctx, func(tx *store.Tx) error {
		w, err := look(&tx.ReadTx, key, time.Now())
		if err != nil || w == nil {
			return err
		}
		p := makePlan(w)
		if p.empty() {
			return nil
		}
		return apply(tx, w, p)
	})
}
