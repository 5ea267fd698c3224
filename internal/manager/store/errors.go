package store

import "errors"

var (
	// ErrNotFound is wrapped by the errors of Get, Peek, ByName and Lookup.
	ErrNotFound = errors.New("not found")
	// ErrExists is wrapped by Create's error when the name is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict says that a guard did not hold: nothing was written. Update
	// handles it by running the closure again.
	ErrConflict = errors.New("the state changed meanwhile")
	// ErrLimit says that a bounded counter would leave its bounds: nothing was
	// written.
	ErrLimit = errors.New("limit reached")
	// ErrDiskFull says that the manager's disk is nearly full and that this
	// transaction does not free anything: nothing was written.
	ErrDiskFull = errors.New("the manager's disk is full: only deletions are accepted until space is freed")
	// ErrNotLeader says that another manager must be asked: nothing was
	// written.
	ErrNotLeader = errors.New("this manager is not the leader")
	// ErrUnknown says that the transaction may or may not have been written,
	// now or a little later. Retrying under the same request ID is safe.
	ErrUnknown = errors.New("it is unknown whether the change was made")
	// ErrTooLarge says that a transaction exceeds MaxTransactionBytes.
	ErrTooLarge = errors.New("the change is too large for one transaction")
	// ErrMalformed says that a log entry is no transaction this Warren knows:
	// nothing was written.
	ErrMalformed = errors.New("malformed transaction")
	// ErrStaleKey says that a value was sealed with a key that does not seal any
	// more: nothing was written. Sealed again, it is taken.
	ErrStaleKey = errors.New("the value was sealed with a key that is being replaced")
	// ErrAltered says that a row is not what this cluster's managers wrote last:
	// somebody changed the database, or it is damaged.
	ErrAltered = errors.New("it was altered in the database, or an old state of it was put back")
	// ErrClosed says that the store or the watcher was closed.
	ErrClosed = errors.New("the store is closed")
)

// MaxTransactionBytes bounds one encoded transaction: room for one secret's
// value of 1 MiB, sealed, and what is written with it.
const MaxTransactionBytes = 1<<20 + 256<<10

// Replayed is Update's error when the request was already done: nothing was
// done now. ObjectID is what the first time gave to Tx.Done.
type Replayed struct{ ObjectID string }

func (r *Replayed) Error() string { return "this request was already done, on " + r.ObjectID }
