package consensus

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
)

// logStore is Raft's log and votes, in a raft-wal that is opened again after a
// write failed: raft-wal cannot go on after one (see docs/adr/0001).
type logStore struct {
	dir     string
	segment int
	log     *slog.Logger

	mu   sync.RWMutex
	wal  *wal.WAL
	meta *metadb.BoltMetaDB
	// last is the last entry that was stored for sure, broken that more may be
	// in the files.
	last   uint64
	broken bool
}

var (
	_ raft.LogStore          = (*logStore)(nil)
	_ raft.StableStore       = (*logStore)(nil)
	_ raft.MonotonicLogStore = (*logStore)(nil)
)

// openLog opens the log in dir; segment is the size in bytes of the files it
// sets aside one by one.
func openLog(dir string, segment int, log *slog.Logger) (*logStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &logStore{dir: dir, segment: segment, log: log}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	return l, nil
}

func (l *logStore) open() error {
	l.meta = &metadb.BoltMetaDB{}
	w, err := wal.Open(l.dir, wal.WithMetaStore(l.meta), wal.WithSegmentSize(l.segment), wal.WithLogger(raftLogger(l.log)),
		wal.WithSegmentFiler(segment.NewFiler(l.dir, logFiles{fs.New()})))
	if err != nil {
		return errors.Join(err, l.meta.Close())
	}
	l.wal = w
	l.last, err = w.LastIndex()
	return err
}

// reopen goes back to the last entry that was stored for sure: Raft believes
// that those after it failed, and will give others their places.
func (l *logStore) reopen() error {
	last := l.last
	if l.wal != nil {
		if err := errors.Join(l.wal.Close(), l.meta.Close()); err != nil {
			return err
		}
		l.wal = nil
	}
	if err := l.open(); err != nil {
		l.last = last
		return err
	}
	if l.last > last {
		if err := l.wal.DeleteRange(last+1, l.last); err != nil {
			l.last = last
			return err
		}
	}
	l.last, l.broken = last, false
	l.log.Info("the log can be written again")
	return nil
}

// StoreLogs makes entries durable. After an error none of them counts.
func (l *logStore) StoreLogs(entries []*raft.Log) error {
	return l.write(func() error {
		if err := l.wal.StoreLogs(entries); err != nil {
			return err
		}
		if len(entries) > 0 {
			l.last = entries[len(entries)-1].Index
		}
		return nil
	})
}

// StoreLog is StoreLogs of one.
func (l *logStore) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// DeleteRange cuts the log at its start or its end.
func (l *logStore) DeleteRange(from, to uint64) error {
	return l.write(func() error {
		if err := l.wal.DeleteRange(from, to); err != nil {
			return err
		}
		var err error
		l.last, err = l.wal.LastIndex()
		return err
	})
}

func (l *logStore) write(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		if err := l.reopen(); err != nil {
			return fmt.Errorf("open the log again: %w", err)
		}
	}
	err := do()
	if err != nil {
		l.broken = true
	}
	return err
}

func read[T any](l *logStore, do func() (T, error)) (T, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.wal == nil {
		var zero T
		return zero, wal.ErrClosed
	}
	return do()
}

// FirstIndex is the first entry's index; 0 when there is none.
func (l *logStore) FirstIndex() (uint64, error) {
	return read(l, func() (uint64, error) { return l.wal.FirstIndex() })
}

// LastIndex is the last entry's index; 0 when there is none.
func (l *logStore) LastIndex() (uint64, error) {
	return read(l, func() (uint64, error) { return l.last, nil })
}

// GetLog reads one entry.
func (l *logStore) GetLog(index uint64, entry *raft.Log) error {
	_, err := read(l, func() (struct{}, error) {
		err := l.wal.GetLog(index, entry)
		if errors.Is(err, wal.ErrNotFound) {
			err = raft.ErrLogNotFound
		}
		return struct{}{}, err
	})
	return err
}

// Set stores a vote or a term.
func (l *logStore) Set(key, value []byte) error {
	return l.write(func() error { return l.wal.Set(key, value) })
}

// Get reads what Set stored; nil when nothing was.
func (l *logStore) Get(key []byte) ([]byte, error) {
	return read(l, func() ([]byte, error) { return l.wal.Get(key) })
}

// SetUint64 is Set of a number.
func (l *logStore) SetUint64(key []byte, value uint64) error {
	return l.write(func() error { return l.wal.SetUint64(key, value) })
}

// GetUint64 reads what SetUint64 stored; 0 when nothing was.
func (l *logStore) GetUint64(key []byte) (uint64, error) {
	return read(l, func() (uint64, error) { return l.wal.GetUint64(key) })
}

// IsMonotonic tells Raft that there may be no gap in the log.
func (l *logStore) IsMonotonic() bool { return true }

func (l *logStore) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wal == nil {
		return nil
	}
	err := errors.Join(l.wal.Close(), l.meta.Close())
	l.wal = nil
	return err
}
