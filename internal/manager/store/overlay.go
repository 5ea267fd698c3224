package store

import (
	"iter"
	"slices"
	"strings"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// overlay is what a transaction wrote so far: at most one write per row.
type overlay struct {
	rows  map[string][]byte // nil: deleted
	order []string
}

func newOverlay() *overlay { return &overlay{rows: map[string][]byte{}} }

func (o *overlay) get(key string) (row []byte, written bool) {
	row, written = o.rows[key]
	return row, written
}

func (o *overlay) put(key string, row []byte) {
	if row == nil {
		row = []byte{} // an empty row exists
	}
	o.set(key, row)
}

func (o *overlay) delete(key string) { o.set(key, nil) }

func (o *overlay) set(key string, row []byte) {
	if _, ok := o.rows[key]; !ok {
		o.order = append(o.order, key)
	}
	o.rows[key] = row
}

func (o *overlay) operations() []*storepb.Operation {
	ops := make([]*storepb.Operation, 0, len(o.order))
	for _, key := range o.order {
		op := &storepb.Operation{Key: []byte(key)}
		if row := o.rows[key]; row == nil {
			op.Kind = &storepb.Operation_Delete{Delete: true}
		} else {
			op.Kind = &storepb.Operation_Put{Put: row}
		}
		ops = append(ops, op)
	}
	return ops
}

// scan goes through the rows below prefix as the transaction sees them, in the
// order of their keys: the snapshot's, with the writes made before the scan
// began laid over them.
func (tx *ReadTx) scan(prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		var written []string
		if tx.writes != nil {
			for _, key := range tx.writes.order {
				if strings.HasPrefix(key, prefix) {
					written = append(written, key)
				}
			}
			slices.Sort(written)
		}
		for raw, row := range tx.snapshot.Scan([]byte(prefix)) {
			key := string(raw)
			for len(written) > 0 && written[0] < key {
				if !tx.yieldWritten(written[0], yield) {
					return
				}
				written = written[1:]
			}
			if len(written) > 0 && written[0] == key {
				if !tx.yieldWritten(key, yield) {
					return
				}
				written = written[1:]
				continue
			}
			if !yield(key, row) {
				return
			}
		}
		for _, key := range written {
			if !tx.yieldWritten(key, yield) {
				return
			}
		}
	}
}

func (tx *ReadTx) yieldWritten(key string, yield func(string, []byte) bool) bool {
	row := tx.writes.rows[key]
	return row == nil || yield(key, row)
}
