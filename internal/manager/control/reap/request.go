package reap

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
)

// A request is remembered for keepRequests: far longer than any client tries
// again.
const (
	keepRequests  = time.Hour
	requestsEvery = 10 * time.Minute
)

// forgetRequests looks at once and then every so often, until ctx ends: for old
// requests, and for what unfinished ones left behind.
func (r *Reconciler) forgetRequests(ctx context.Context) {
	tick := time.NewTicker(requestsEvery)
	defer tick.Stop()
	for {
		limit := time.Now().Add(-keepRequests)
		if err := errors.Join(r.forgetRequestsBefore(ctx, limit), r.dropStagedBefore(ctx, limit)); err != nil && ctx.Err() == nil {
			r.log.Error("forgetting old requests failed; it is tried again", "after", requestsEvery, "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Reconciler) forgetRequestsBefore(ctx context.Context, limit time.Time) error {
	var old []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for key, request := range tx.Requests().List() {
			if request.GetDoneAt().AsTime().Before(limit) {
				old = append(old, key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(old, maxBatch) {
		err := r.store.Update(ctx, func(tx *store.Tx) error {
			tx.Reclaim()
			for _, key := range batch {
				if err := tx.Requests().Delete(key.Parts()...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
