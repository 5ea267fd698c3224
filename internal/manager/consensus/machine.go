package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/cuemby/warren/internal/manager/store"
)

// machine is the replicated state machine: warren.db, and how log entries
// change it. Raft calls ApplyBatch, Snapshot and Restore from one goroutine.
type machine struct {
	path    string
	lineage string
	space   *space
	log     *slog.Logger

	// file is held for reading while db is used, for writing while Restore
	// replaces it.
	file sync.RWMutex
	db   *bolt.DB

	applied atomic.Uint64
	era     atomic.Value // string
	// grown is how many bytes of entries were applied since the last snapshot.
	grown   atomic.Int64
	changed atomic.Pointer[func(keys []string)]

	// stop ends a commit that keeps failing. From then on nothing is applied:
	// the next start goes on from the log.
	stop    context.Context
	stopped bool
}

var _ raft.BatchingFSM = (*machine)(nil)

// errStopped answers entries that could not be applied before the stop.
var errStopped = errors.New("stopped before the change was applied")

// newMachine opens the database and makes it this run's.
func newMachine(stop context.Context, path, lineage string, space *space, log *slog.Logger) (*machine, error) {
	m := &machine{path: path, lineage: lineage, space: space, log: log, stop: stop}
	db, err := openDatabase(path)
	if err != nil {
		return nil, err
	}
	m.db = db
	if err := m.claim(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return m, nil
}

// claim writes this run's lineage and makes it durable, and with it the file as
// it is.
func (m *machine) claim(db *bolt.DB) error {
	err := db.Update(func(tx *bolt.Tx) error {
		m.applied.Store(readApplied(tx).index)
		m.era.Store(readEra(tx))
		return writeLineage(tx, m.lineage)
	})
	if err == nil {
		err = db.Sync()
	}
	if err != nil {
		return fmt.Errorf("write to %s: %w", m.path, err)
	}
	return nil
}

// Apply is ApplyBatch of one.
func (m *machine) Apply(entry *raft.Log) any { return m.ApplyBatch([]*raft.Log{entry})[0] }

// ApplyBatch applies entries in one BoltDB transaction, in which each sees the
// ones before it. A response is nil or the error of plan. A commit that fails,
// as on a full disk, is retried until it succeeds or Warren stops: skipping it
// would make this manager differ from the others.
func (m *machine) ApplyBatch(entries []*raft.Log) []any {
	for wait := 50 * time.Millisecond; !m.stopped; wait = min(2*wait, 2*time.Second) {
		responses, keys, err := m.apply(entries)
		if err == nil {
			for _, entry := range entries {
				m.grown.Add(int64(len(entry.Data)))
			}
			m.applied.Store(max(m.applied.Load(), entries[len(entries)-1].Index))
			m.notify(keys)
			return responses
		}
		m.log.Error("changes cannot be written to warren.db; trying again", "error", err, "in", wait)
		select {
		case <-time.After(wait):
		case <-m.stop.Done():
			m.stopped = true
		}
	}
	responses := make([]any, len(entries))
	for i := range responses {
		responses[i] = errStopped
	}
	return responses
}

func (m *machine) apply(entries []*raft.Log) (responses []any, keys []string, err error) {
	m.file.RLock()
	defer m.file.RUnlock()
	responses = make([]any, len(entries))
	err = m.db.Update(func(tx *bolt.Tx) error {
		done := readApplied(tx)
		state := tx.Bucket(bucketState)
		for i, entry := range entries {
			if entry.Index <= done.index {
				continue // a restart reads again what is in the file already
			}
			done = position{entry.Index, entry.Term}
			if entry.Type != raft.LogCommand {
				continue
			}
			rows, refused := plan(state, entry.Index, entry.Data)
			if refused != nil {
				responses[i] = refused
				continue
			}
			for _, w := range rows {
				if err := w.to(state); err != nil {
					return err
				}
				keys = append(keys, string(w.key))
			}
		}
		return writeApplied(tx, done)
	})
	return responses, keys, err
}

func (w write) to(state *bolt.Bucket) error {
	if w.row == nil {
		return state.Delete(w.key)
	}
	return state.Put(w.key, w.row)
}

func (m *machine) notify(keys []string) {
	if f := m.changed.Load(); f != nil && (keys == nil || len(keys) > 0) {
		(*f)(keys)
	}
}

// overgrown tells whether the log since the last snapshot takes more space than
// a new snapshot would. Raft itself only counts entries, of which a thousand may
// have a gigabyte.
func (m *machine) overgrown() bool {
	info, err := os.Stat(m.path)
	return err == nil && m.grown.Load() > max(minSnapshotBytes, info.Size())
}

const minSnapshotBytes = 64 << 20

// view takes a consistent look at the state.
func (m *machine) view() (*view, error) {
	m.file.RLock()
	tx, err := m.db.Begin(false)
	if err != nil {
		m.file.RUnlock()
		if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
			return nil, store.ErrClosed
		}
		return nil, err
	}
	return &view{machine: m, tx: tx, state: tx.Bucket(bucketState)}, nil
}

// Snapshot gives Raft the state as of now, to be written while changes go on.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	v, err := m.view()
	if err != nil {
		return nil, err
	}
	m.grown.Store(0)
	return &copying{v}, nil
}

// copying writes a whole database file, as a Raft snapshot.
type copying struct{ view *view }

func (c *copying) Persist(sink raft.SnapshotSink) error {
	err := c.view.machine.space.roomFor(c.view.tx.Size())
	if err == nil {
		_, err = c.view.tx.WriteTo(sink)
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (c *copying) Release() { c.view.Close() }

// Restore replaces the state with a snapshot's.
func (m *machine) Restore(snapshot io.ReadCloser) error {
	defer snapshot.Close()
	fresh := m.path + ".restoring"
	if err := writeFile(fresh, snapshot); err != nil {
		return err
	}
	defer os.Remove(fresh)
	if err := verify(fresh); err != nil {
		return fmt.Errorf("a snapshot is damaged: %w", err)
	}
	if err := m.stamp(fresh); err != nil {
		return err
	}

	m.file.Lock()
	err := m.replace(fresh)
	m.file.Unlock()
	if err == nil {
		m.notify(nil)
	}
	return err
}

// stamp writes this run's lineage to a file that came from a snapshot, perhaps
// another manager's: it must never lie in the place of warren.db without it,
// or it would look like a copy that a person has put there.
func (m *machine) stamp(path string) error {
	db, err := openDatabase(path)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error { return writeLineage(tx, m.lineage) })
	return errors.Join(err, db.Sync(), db.Close())
}

// replace puts a new file in the place of the open one.
func (m *machine) replace(fresh string) error {
	if err := errors.Join(m.db.Close(), os.Rename(fresh, m.path)); err != nil {
		return err
	}
	db, err := openDatabase(m.path)
	if err != nil {
		return err
	}
	m.db = db
	return m.claim(db)
}

// close makes the file durable and lets go of it.
func (m *machine) close() error {
	m.file.RLock()
	defer m.file.RUnlock()
	return errors.Join(m.db.Sync(), m.db.Close())
}
