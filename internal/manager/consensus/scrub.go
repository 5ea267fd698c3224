package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

const (
	// A log that is written meanwhile keeps its files; it is tried so often, with
	// that pause, to find it empty.
	scrubAttempts = 20
	scrubPause    = 50 * time.Millisecond
)

// Scrub removes from this manager's files what the state was before and is no
// more: free pages of warren.db, log entries, earlier snapshots, and what a
// restore or an upgrade has replaced. Under constant writes the last of the log's files may
// keep entries that were dropped until it is full and goes.
func (c *Consensus) Scrub(ctx context.Context) error {
	if err := c.machine.compact(); err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	usual := c.raft.ReloadableConfig()
	scrubbing := usual
	scrubbing.TrailingLogs = 0
	if err := c.raft.ReloadConfig(scrubbing); err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	err := c.dropLog(ctx)
	err = errors.Join(err, c.raft.ReloadConfig(usual))
	if err == nil {
		err = c.dropSnapshots()
	}
	if err == nil {
		err = errors.Join(os.RemoveAll(c.raftDir()+".replaced"), c.dropSaved())
	}
	if err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	return nil
}

// dropLog makes snapshots until the log has no entry left that one holds.
func (c *Consensus) dropLog(ctx context.Context) error {
	for range scrubAttempts {
		err := c.wait(ctx, func() error { return c.raft.Snapshot().Error() })
		if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			return err
		}
		first, err := c.logs.FirstIndex()
		if err != nil {
			return err
		}
		last, err := c.logs.LastIndex()
		if err != nil || first == 0 || first > last {
			return err
		}
		select {
		case <-time.After(scrubPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// dropSnapshots removes all but the newest.
func (c *Consensus) dropSnapshots() error {
	list, err := c.snapshots.List()
	if err != nil {
		return err
	}
	for i, s := range list {
		if i == 0 {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.raftDir(), "snapshots", s.ID)); err != nil {
			return err
		}
	}
	return syncDir(filepath.Join(c.raftDir(), "snapshots"))
}

// compact writes warren.db anew, without the pages that are free in it.
func (m *machine) compact() error {
	m.file.Lock()
	defer m.file.Unlock()
	if info, err := os.Stat(m.path); err == nil {
		if err := m.space.roomFor(info.Size()); err != nil {
			return err
		}
	}
	fresh := m.path + ".compacting"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	defer os.Remove(fresh)
	to, err := bolt.Open(fresh, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	if err != nil {
		return err
	}
	err = bolt.Compact(to, m.db, compactBytes)
	if err := errors.Join(err, to.Sync(), to.Close()); err != nil {
		return err
	}
	return m.replace(fresh)
}

// compactBytes is how much one transaction of compact copies.
const compactBytes = 1 << 20
