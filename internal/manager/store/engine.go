package store

import (
	"context"
	"iter"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Proposer gets transactions agreed upon and applied.
type Proposer interface {
	// Propose returns the index at which the transaction was applied, once a
	// Snapshot of this engine shows it. The transaction was not and will not be
	// applied when the error is ErrConflict, ErrLimit, ErrDiskFull,
	// ErrNotLeader, ErrTooLarge or ErrMalformed; with any other error (those
	// wrap ErrUnknown) it may have been. When ctx ends first the outcome is
	// unknown too.
	Propose(ctx context.Context, t *storepb.Transaction) (index uint64, err error)
}

// Engine is what the store stands upon: agreement, and the agreed state.
// All methods may be called by any goroutine.
type Engine interface {
	Proposer
	// Barrier returns once every transaction that was acknowledged anywhere
	// before the call shows in this engine's Snapshots. ErrNotLeader when that
	// cannot be known here.
	Barrier(ctx context.Context) error
	// Snapshot gives the applied state as of now. The caller must Close it
	// soon: the file cannot reuse space while old snapshots are open.
	Snapshot() (Snapshot, error)
	// Subscribe calls f after each applied batch, in order, with the keys that
	// were written, or with nil when the whole state was replaced. Snapshots
	// taken from then on show the change. f must not block nor keep the slice.
	Subscribe(f func(keys []string))
}

// Snapshot is the state at one moment. One goroutine uses it at a time.
type Snapshot interface {
	// Get returns a row and its version; version 0 says it does not exist. The
	// bytes are valid until Close and must not be changed.
	Get(key []byte) (row []byte, version uint64)
	// Scan goes through the rows whose keys start with the prefix, in the order
	// of their keys.
	Scan(prefix []byte) iter.Seq2[[]byte, []byte]
	// Seek is Scan starting at the first key that is not below from.
	Seek(prefix, from []byte) iter.Seq2[[]byte, []byte]
	Close()
}
