package reap

import (
	"context"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
)

// dropStagedBefore throws away the values of imports that were never finished:
// their manager is gone.
func (r *Reconciler) dropStagedBefore(ctx context.Context, limit time.Time) error {
	var old []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for key, part := range tx.Staged().List() {
			if part.GetStagedAt().AsTime().Before(limit) {
				old = append(old, key)
			}
		}
		return nil
	})
	for _, key := range old {
		if err == nil {
			r.log.Warn("threw away what an unfinished import of secrets left behind", "import", key)
			err = r.store.Update(ctx, func(tx *store.Tx) error { return tx.Unstage(key.Parts()...) })
		}
	}
	return err
}
