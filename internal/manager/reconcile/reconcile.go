// Package reconcile is the loop that all reconcilers of the manager run in:
// wait for what is committed, look, act, wait again. A reconciler keeps nothing
// that it could not read again, so it may be killed between any two steps.
package reconcile

import (
	"context"
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
// says that everything may have changed, and so does the call that follows an
// error of react's, after a pause: there is no other state to go wrong.
func Run(ctx context.Context, s *store.Store, log *slog.Logger, react func(context.Context, store.Changes) error, tables ...store.Table) error {
	w := s.Watch(tables...)
	defer w.Close()
	retry := firstRetry
	var again store.Changes
	for {
		changes := again
		if !again.All {
			var err error
			if changes, err = w.Next(ctx); ctx.Err() != nil {
				return nil
			} else if err != nil {
				return err
			}
		}
		err := react(ctx, changes)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			again, retry = store.Changes{}, firstRetry
			continue
		}
		log.Error("could not bring the state to what is wanted; trying again", "after", retry, "error", err)
		if !pause(ctx, retry) {
			return nil
		}
		again, retry = store.Changes{All: true}, min(2*retry, lastRetry)
	}
}

// pause waits and tells whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
