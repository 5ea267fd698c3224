package store

import (
	"context"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// ReadTx reads one snapshot of the state. Its methods give the tables. A
// function that reads in a View and in an Update takes a *ReadTx: in an Update,
// &tx.ReadTx sees what the transaction wrote, and its Gets are guarded.
type ReadTx struct {
	snapshot Snapshot
	// guards are the versions that Get saw; nil in a View.
	guards map[string]uint64
	// order keeps guards and writes in the order they were made in, so that the
	// same closure always gives the same transaction.
	guardOrder []string
	// writes are the rows this transaction wrote; nil in a View.
	writes *overlay
	// witness is the store's.
	witness Witness
	// broken is the first row that could not be read in a scan.
	broken error
}

// Tx reads a snapshot and collects writes.
type Tx struct {
	ReadTx
	request string
	appends []*storepb.Operation
	reclaim bool
}

func newTx(ctx context.Context, snapshot Snapshot) *Tx {
	return &Tx{
		ReadTx:  ReadTx{snapshot: snapshot, guards: map[string]uint64{}, writes: newOverlay()},
		request: requestFrom(ctx),
	}
}

// Reclaim marks a transaction that frees space, or that must happen so that
// space is freed (a deletion, and what confirms one). It is admitted while the
// manager's disk is nearly full.
func (tx *Tx) Reclaim() { tx.reclaim = true }

// get reads one row as this transaction sees it: nil when it does not exist.
func (tx *ReadTx) get(key string, guarded bool) []byte {
	if tx.writes != nil {
		if row, written := tx.writes.get(key); written {
			return row
		}
	}
	row, version := tx.snapshot.Get([]byte(key))
	if guarded && tx.guards != nil {
		if _, seen := tx.guards[key]; !seen {
			tx.guards[key] = version
			tx.guardOrder = append(tx.guardOrder, key)
		}
	}
	if version == 0 {
		return nil
	}
	return row
}

func (tx *Tx) put(key string, row []byte) { tx.writes.put(key, row) }

func (tx *Tx) delete(key string) { tx.writes.delete(key) }

func (tx *Tx) append(op *storepb.Operation) { tx.appends = append(tx.appends, op) }

// fail remembers the first failure of a scan, which has no other way to tell.
func (tx *ReadTx) fail(err error) {
	if tx.broken == nil {
		tx.broken = err
	}
}

func (tx *Tx) transaction() *storepb.Transaction {
	t := &storepb.Transaction{Operations: append(tx.writes.operations(), tx.appends...), Reclaim: tx.reclaim}
	for _, key := range tx.guardOrder {
		t.Guards = append(t.Guards, &storepb.Guard{Key: []byte(key), Version: tx.guards[key]})
	}
	return t
}
