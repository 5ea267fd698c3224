package consensus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// verdict is what to do with what a start finds.
type verdict int

const (
	// Go on with warren.db; it may not exist yet.
	goOn verdict = iota
	// Make warren.db anew from raft/.
	rebuild
	// warren.db is a restored copy: make raft/ anew from it.
	adopt
)

// found is what a start finds on the disk.
type found struct {
	path string // of warren.db
	// hasDatabase: warren.db exists; damage says why it cannot be read.
	hasDatabase bool
	damage      error
	lineage     string
	format      uint64
	applied     position

	// last is the run before; nil when there was none, or it left no trace.
	last *run
	// altered: warren.db is not as the last, clean run left it.
	altered bool
	// raftLast is the last entry that raft/ has; zero when it is empty.
	raftLast position

	bootID string
}

// decide says what to do, or why nothing can be done.
func (f found) decide() (verdict, error) {
	trusted := f.last == nil || f.last.Clean || f.last.BootID == f.bootID
	hasRaft := f.raftLast.index > 0
	switch {
	case f.last == nil && hasRaft:
		return 0, fmt.Errorf("%s is incomplete: it has a log but no run.json; restore it from a backup, or move it away to go on from warren.db alone",
			filepath.Join(filepath.Dir(f.path), "raft"))
	case !f.hasDatabase && hasRaft:
		return rebuild, nil
	case !f.hasDatabase:
		return goOn, nil
	case f.damage != nil && trusted:
		return 0, f.refuse(f.damage)
	case f.damage != nil:
		return rebuild, nil
	case f.lineage == "":
		return rebuild, nil // a start that was killed before the file was its own
	case !f.last.knows(f.lineage):
		return adopt, nil
	case !trusted:
		return rebuild, nil
	case f.altered:
		return 0, f.refuse(errors.New("it is not as Warren left it when it stopped"))
	case f.applied.index > f.raftLast.index:
		// raft/ lags behind what it made: the database is the better truth.
		return adopt, nil
	}
	return goOn, nil
}

func (f found) refuse(why error) error {
	if f.raftLast.index == 0 {
		return fmt.Errorf("%s is damaged: %w. Put another backup of it in its place", f.path, why)
	}
	return fmt.Errorf("%s is damaged: %w. Put a backup of it in its place, or move it away (mv %s %s.damaged): "+
		"Warren then makes it anew from its log", f.path, why, f.path, f.path)
}

// look gathers what a start finds; raftLast is filled in by the caller, who has
// the log open.
func look(path, raftDir, bootID string) (found, error) {
	f := found{path: path, bootID: bootID}
	var err error
	if f.last, err = readRun(raftDir); err != nil {
		return f, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || (err == nil && info.Size() == 0) {
		return f, nil // an empty file is what a start leaves that is killed at once
	}
	if err != nil {
		return f, err
	}
	f.hasDatabase = true
	if f.damage = verify(path); f.damage != nil {
		return f, nil
	}
	if err := f.inspect(); err != nil {
		return f, err
	}
	if f.last.knows(f.lineage) && f.last.Clean && f.last.Sum != "" {
		now, err := sum(path)
		if err != nil {
			return f, err
		}
		f.altered = now != f.last.Sum
	}
	return f, nil
}

// inspect reads what the file says of itself, without changing it.
func (f *found) inspect() error {
	db, err := bolt.Open(f.path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second, NoStatistics: true})
	if err != nil {
		f.damage = err
		return nil
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || tx.Bucket(bucketState) == nil {
			f.damage = errors.New("it is no Warren database")
			return nil
		}
		f.applied, f.lineage, f.format = readApplied(tx), readLineage(tx), number(meta.Get(keyFormat))
		return checkFormat("warren.db", f.format)
	})
}
