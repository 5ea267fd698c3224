package store

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// TableRequests remembers which requests were done.
const TableRequests Table = "request"

var requests = &kind[storepb.Request, *storepb.Request]{table: TableRequests, depth: 1}

// Requests gives the requests that were done, by ID.
func (tx *ReadTx) Requests() Rows[storepb.Request, *storepb.Request] { return rows(tx, requests) }

// Requests gives the requests that were done, by ID.
func (tx *Tx) Requests() RowsTx[storepb.Request, *storepb.Request] { return rowsTx(tx, requests) }

type requestKey struct{}

// WithRequest returns a context whose Updates belong to the request with that
// ID: an Update that calls Tx.Done is done once, however often it is retried,
// whichever manager is asked. The ID must be unguessable and have no "/".
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

func requestFrom(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Done records, as part of this transaction, that the context's request is
// done and which object it was about. A request of several transactions calls
// it in the last; the earlier ones must then be safe to repeat. Without a
// request in the context it does nothing.
func (tx *Tx) Done(objectID string) error {
	if tx.request == "" {
		return nil
	}
	row := &storepb.Request{ObjectId: objectID, DoneAt: timestamppb.New(time.Now())}
	return tx.Requests().Put(row, tx.request)
}

// replayed is a *Replayed when the request is done already. The Get guards it:
// two managers cannot both do it.
func (tx *Tx) replayed() error {
	if tx.request == "" {
		return nil
	}
	row, err := tx.Requests().Get(tx.request)
	if err != nil {
		return ignoreNotFound(err)
	}
	return &Replayed{ObjectID: row.ObjectId}
}
