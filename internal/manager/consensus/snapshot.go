package consensus

import (
	"bytes"
	"iter"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// view is a store.Snapshot: a BoltDB read transaction that keeps the machine
// from replacing its file meanwhile.
type view struct {
	machine *machine
	tx      *bolt.Tx
	state   *bolt.Bucket
	close   sync.Once
}

func (v *view) Get(key []byte) ([]byte, uint64) {
	stored := v.state.Get(key)
	return payload(stored), version(stored)
}

func (v *view) Scan(prefix []byte) iter.Seq2[[]byte, []byte] { return v.Seek(prefix, prefix) }

func (v *view) Seek(prefix, from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, row []byte) bool) {
		cursor := v.state.Cursor()
		for key, stored := cursor.Seek(from); key != nil && bytes.HasPrefix(key, prefix); key, stored = cursor.Next() {
			if !yield(key, payload(stored)) {
				return
			}
		}
	}
}

func (v *view) Close() {
	v.close.Do(func() {
		_ = v.tx.Rollback() // of a read transaction: cannot fail
		v.machine.file.RUnlock()
	})
}
