package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cuemby/warren/internal/manager/store"
)

// Options say where and who.
type Options struct {
	// DataDir holds warren.db and raft/; it is made if missing.
	DataDir string
	// NodeID names this manager, for ever.
	NodeID string
	// BootID names this boot of the machine; the kernel's own when empty.
	BootID string
	Logger *slog.Logger
	// Transport speaks to other managers, who reach this one at its LocalAddr;
	// nil for a manager that stays alone. Close closes it.
	Transport Transport
	// Reserve is how many bytes are set aside for a full disk; 0 for the
	// default of 64 MiB or an eighth of the disk, whichever is less.
	Reserve int64
	// SnapshotEvery is the number of log entries between snapshots; 0 for the
	// default of 8192. There is one earlier when the entries are large.
	SnapshotEvery uint64
}

const (
	defaultSnapshotEvery = 8192
	keepSnapshots        = 2
	// A manager that hears nothing of the leader for one to two of these asks to
	// be elected; a leader that a majority does not answer for leaseTimeout
	// steps down. Heartbeats come ten times as often.
	heartbeatTimeout = 250 * time.Millisecond
	leaseTimeout     = 200 * time.Millisecond
	// maxBatch bounds the entries that share one fsync.
	maxBatch = 256
)

// Consensus is an open data directory, taking part in the agreement.
type Consensus struct {
	nodeID    string
	dir       string
	bootID    string
	log       *slog.Logger
	lock      *os.File
	space     *space
	logs      *logStore
	snapshots raft.SnapshotStore
	machine   *machine
	raft      *raft.Raft

	// cancel stops what blocks on the disk, and the watch over its space.
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	terms    terms
	progress progress
	address  raft.ServerAddress
	// reach tells whether a manager answers; nil when that cannot be known.
	reach func(address string) error

	closing  sync.Once
	closed   chan struct{} // once Raft has shut down
	closeErr error
}

var _ store.Engine = (*Consensus)(nil)

// Open opens a data directory and starts taking part. It refuses a directory
// that another process uses, that a newer Warren wrote, or whose warren.db is
// damaged; the error says what to do. The caller must Close it.
func Open(o Options) (*Consensus, error) {
	if o.BootID == "" {
		var err error
		if o.BootID, err = bootID(); err != nil {
			return nil, fmt.Errorf("find out which boot this is: %w", err)
		}
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := lockDir(o.DataDir)
	if err != nil {
		return nil, err
	}
	stop, cancel := context.WithCancel(context.Background())
	c := &Consensus{nodeID: o.NodeID, dir: o.DataDir, bootID: o.BootID, log: o.Logger, lock: lock, cancel: cancel, closed: make(chan struct{})}
	if err := c.open(stop, o); err != nil {
		return nil, errors.Join(err, c.release())
	}
	c.tasks.Go(func() { c.watch(stop) })
	return c, nil
}

// watch notices when other things fill or free the disk, and keeps the log
// from taking more of it than it is worth.
func (c *Consensus) watch(stop context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop.Done():
			return
		}
		if err := c.space.look(); err != nil {
			c.log.Warn("the disk cannot be watched", "error", err)
		}
		if c.machine.overgrown() {
			if err := c.raft.Snapshot().Error(); err != nil {
				c.log.Warn("a snapshot could not be made; trying again", "error", err)
			}
		}
	}
}

func (c *Consensus) open(stop context.Context, o Options) error {
	var err error
	if c.space, err = newSpace(c.dir, o.Reserve, c.log); err != nil {
		return err
	}
	if err := finishAdoption(c.raftDir()); err != nil {
		return err
	}
	transport := o.Transport
	if transport == nil {
		_, transport = raft.NewInmemTransport(raft.ServerAddress(c.nodeID))
	}
	c.address = transport.LocalAddr()
	if t, can := transport.(interface{ Reach(string) error }); can {
		c.reach = t.Reach
	}
	f, err := look(c.databasePath(), c.raftDir(), c.bootID)
	if err != nil {
		return err
	}
	if f, err = c.prepare(f); err != nil {
		return err
	}
	if c.machine, err = c.begin(stop, f.lineage); err != nil {
		return err
	}
	config, err := c.config(o)
	if err != nil {
		return err
	}
	if c.raft, err = raft.NewRaft(config, c.machine, c.logs, c.logs, c.snapshots, listening{transport, &c.progress}); err != nil {
		return err
	}
	return c.checkNode()
}

// checkNode refuses a directory whose only manager is another: it would wait
// for that one for ever.
func (c *Consensus) checkNode() error {
	future := c.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return err
	}
	if servers := future.Configuration().Servers; len(servers) == 1 && string(servers[0].ID) != c.nodeID {
		return fmt.Errorf("%s belongs to the node %s, not to %s: give this node another --data-dir", c.dir, servers[0].ID, c.nodeID)
	}
	return nil
}

func (c *Consensus) config(o Options) (*raft.Config, error) {
	list, err := c.snapshots.List()
	if err != nil {
		return nil, err
	}
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(c.nodeID)
	config.Logger = raftLogger(c.log)
	config.MaxAppendEntries = maxBatch
	config.NoLegacyTelemetry = true
	config.SnapshotThreshold = o.SnapshotEvery
	if config.SnapshotThreshold == 0 {
		config.SnapshotThreshold = defaultSnapshotEvery
	}
	config.TrailingLogs = 1024 // for managers that lag behind
	config.HeartbeatTimeout = heartbeatTimeout
	config.ElectionTimeout = heartbeatTimeout
	config.LeaderLeaseTimeout = leaseTimeout
	// One that is no longer a member stays a quiet one until it is told to end.
	config.ShutdownOnRemove = false
	// A database that is ahead of the snapshots needs none of them.
	config.NoSnapshotRestoreOnStart = len(list) > 0 && c.machine.applied.Load() >= list[0].Index
	if o.Transport == nil {
		// Nobody to wait for, nor to keep entries for.
		config.TrailingLogs = 64
		config.HeartbeatTimeout = 50 * time.Millisecond
		config.ElectionTimeout = 50 * time.Millisecond
		config.LeaderLeaseTimeout = 50 * time.Millisecond
	}
	return config, nil
}

func (c *Consensus) raftDir() string { return filepath.Join(c.dir, "raft") }

func (c *Consensus) databasePath() string { return filepath.Join(c.dir, "warren.db") }
