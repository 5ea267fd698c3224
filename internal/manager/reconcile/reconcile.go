// Package reconcile is the loop that all reconcilers of the manager run in:
// wait for what is committed, look, act, wait again. A reconciler keeps nothing
// that it could not read again, so it may be killed between any two steps.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
)

// After a failure, everything is looked at again: first soon, then ever later.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// Run calls react with what changed in the tables, one call at a time, until
// ctx ends; that is its only way to return without an error. The first call
// says that everything may have changed. Some time after an error of react's
// it is called like that again; what changes meanwhile does not wait for it, so
// that one thing that cannot be done holds up no other.
func Run(ctx context.Context, s *store.Store, log *slog.Logger, react func(context.Context, store.Changes) error, tables ...store.Table) error {
	w := s.Watch(tables...)
	defer w.Close()
	pause := firstRetry
	var retryAt time.Time // zero while nothing failed
	for {
		changes, err := next(ctx, w, retryAt)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		if changes.All {
			retryAt = time.Time{}
		}
		err = react(ctx, changes)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && retryAt.IsZero():
			log.Error("could not bring the state to what is wanted; trying again", "after", pause, "error", err)
			retryAt = time.Now().Add(pause)
			pause = min(2*pause, lastRetry)
		case err == nil && changes.All:
			pause = firstRetry
		}
	}
}

// next waits for changes, and from retryAt on says that everything may have
// changed.
func next(ctx context.Context, w *store.Watcher, retryAt time.Time) (store.Changes, error) {
	if retryAt.IsZero() {
		return w.Next(ctx)
	}
	until, cancel := context.WithDeadline(ctx, retryAt)
	defer cancel()
	changes, err := w.Next(until)
	if errors.Is(err, context.DeadlineExceeded) {
		return store.Changes{All: true}, nil
	}
	return changes, err
}
