// Package secret looks after the versions of secrets: it drops those that are
// too many, once nobody uses them, and tells people of those that expire.
//
// The package is the writer of Secret.notice, and removes versions beside
// server.
package secret

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
)

// Reconciler looks after versions.
type Reconciler struct {
	store  *store.Store
	log    *slog.Logger
	alarms *reconcile.Alarms
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, log *slog.Logger) *Reconciler {
	return &Reconciler{s, log, reconcile.NewAlarms()}
}

// Run looks after versions until ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var ringing sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer ringing.Wait()
	defer cancel()
	ringing.Go(func() { r.alarms.Run(ctx, func(secret store.Key) { r.ring(ctx, secret) }) })
	return reconcile.Run(ctx, r.store, r.log, r.react, store.TableSecrets)
}

// ring looks at a secret whose time has come.
func (r *Reconciler) ring(ctx context.Context, secret store.Key) {
	if err := r.lookAt(ctx, []store.Key{secret}); err != nil && ctx.Err() == nil {
		r.log.Error("the versions of a secret were not looked after; trying again", "secret", secret.ID(), "error", err)
		r.alarms.Set(secret, time.Now().Add(time.Minute))
	}
}

func (r *Reconciler) react(ctx context.Context, changes store.Changes) error {
	secrets := changes.Keys(store.TableSecrets)
	if changes.All {
		err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
			secrets = slices.Collect(tx.Secrets().Keys())
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.lookAt(ctx, secrets)
}

// lookAt does what the secrets need now, and sets alarms for what they will
// need later. Most need nothing: that costs no transaction.
func (r *Reconciler) lookAt(ctx context.Context, secrets []store.Key) error {
	var busy []store.Key
	now := time.Now()
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		busy = nil
		for _, key := range secrets {
			secret, err := tx.Secrets().Get(key.Parts()...)
			if errors.Is(err, store.ErrAltered) {
				r.log.Error("a secret is not used: its record was altered in the database", "secret", key.ID(), "namespace", key.Namespace())
				continue
			}
			if unlessNotFound(err) != nil {
				return err
			}
			if notice(secret, now) != nil || tooMany(secret) {
				busy = append(busy, key)
			}
			r.alarms.Set(key, next(secret, now))
		}
		return nil
	})
	for _, key := range busy {
		if e := r.store.Update(ctx, func(tx *store.Tx) error { return lookAfter(tx, key, now) }); e != nil {
			err = errors.Join(err, fmt.Errorf("secret %s: %w", key.ID(), e))
		}
	}
	return err
}

// lookAfter does what one secret needs.
func lookAfter(tx *store.Tx, key store.Key, now time.Time) error {
	secret, err := tx.Secrets().Get(key.Parts()...)
	if err != nil {
		return unlessNotFound(err)
	}
	if n := notice(secret, now); n != nil {
		if err := tell(tx, secret, n, now); err != nil {
			return err
		}
	}
	return prune(tx, secret, now)
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// earliest is the first of two moments that is one.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// next is when a secret needs to be looked at again; zero for never.
func next(secret *warrenv1.Secret, now time.Time) time.Time {
	at := nextNotice(secret, now)
	if tooMany(secret) {
		at = earliest(at, now.Add(pruneAgain))
	}
	return at
}
