package server

import (
	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// ListEvents sends what happened since the given time, and with follow what
// happens from then on.
func (c *clusters) ListEvents(r *warrenv1.ListEventsRequest, out grpc.ServerStreamingServer[warrenv1.Event]) error {
	ctx := out.Context()
	w := c.store.Watch(store.TableEvents)
	defer w.Close()
	var last uint64
	view := c.store.View
	for {
		// The first look comes at once: see Store.Watch.
		if _, err := w.Next(ctx); err != nil {
			return err
		}
		var events []*warrenv1.Event
		err := view(ctx, func(tx *store.ReadTx) error {
			for e := range tx.Events().After(last) {
				events = append(events, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, e := range events {
			last = e.GetSequence()
			if r.GetSince() != nil && e.GetTime().AsTime().Before(r.GetSince().AsTime()) {
				continue
			}
			if err := out.Send(e); err != nil {
				return err
			}
		}
		if !r.GetFollow() {
			return nil
		}
		view = c.store.ViewStale
	}
}
