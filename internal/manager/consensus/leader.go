package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/cuemby/warren/internal/manager/store"
)

// terms remembers for which term a barrier was passed.
type terms struct {
	mu     sync.Mutex
	passed uint64
}

// Barrier implements store.Engine. A leader's own state shows every change that
// was acknowledged in its term, since it acknowledges after applying; so what is
// left to make sure of is that it has all of the terms before (once per term,
// by an entry of its own) and that it still leads.
func (c *Consensus) Barrier(ctx context.Context) error {
	if c.raft.State() != raft.Leader {
		return store.ErrNotLeader
	}
	return c.wait(ctx, func() error {
		if err := c.terms.pass(c.raft); err != nil {
			return leaderError(err)
		}
		if c.alone() {
			return nil // nobody else can have become leader
		}
		return leaderError(c.raft.VerifyLeader().Error())
	})
}

func (t *terms) pass(r *raft.Raft) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	term := r.CurrentTerm()
	if t.passed == term {
		return nil
	}
	if err := r.Barrier(0).Error(); err != nil {
		return err
	}
	t.passed = term
	return nil
}

// alone tells whether this manager is the only voter, and leads.
func (c *Consensus) alone() bool {
	future := c.raft.GetConfiguration()
	if future.Error() != nil {
		return false
	}
	servers := future.Configuration().Servers
	return len(servers) == 1 && string(servers[0].ID) == c.nodeID && c.raft.State() == raft.Leader
}

func leaderError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrNotLeader, err)
}

// Bootstrapped tells whether this manager belongs to a cluster already.
func (c *Consensus) Bootstrapped() (bool, error) {
	return raft.HasExistingState(c.logs, c.logs, c.snapshots)
}

// Bootstrap makes this manager the only one of a new cluster.
func (c *Consensus) Bootstrap() error {
	err := c.raft.BootstrapCluster(alone(c.nodeID, c.address)).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("%s belongs to a cluster already", c.dir)
	}
	return err
}

// IsLeader tells whether this manager believes to lead.
func (c *Consensus) IsLeader() bool { return c.raft.State() == raft.Leader }

// Leader is the node ID of the leader that this manager knows of, or empty.
func (c *Consensus) Leader() string {
	_, id := c.raft.LeaderWithID()
	return string(id)
}

// LeaderAddress is host:port of the leader that this manager knows of, or
// empty.
func (c *Consensus) LeaderAddress() string {
	address, _ := c.raft.LeaderWithID()
	return string(address)
}

// keepAddress tells the others where this manager is now, once it leads: it may
// have been set up elsewhere, or restored from a file of another address.
func (c *Consensus) keepAddress(ctx context.Context) error {
	servers, err := c.servers()
	if err != nil {
		return err
	}
	if me := find(servers, c.nodeID); me == nil || me.Address == c.address {
		return nil
	}
	return c.changeTo(ctx, c.raft.AddVoter, c.nodeID, string(c.address))
}

// WaitLeading returns once this manager leads and its state is up to date.
func (c *Consensus) WaitLeading(ctx context.Context) error {
	changes, stop := c.Leadership()
	defer stop()
	for {
		if c.Barrier(ctx) == nil {
			return nil
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return fmt.Errorf("wait to lead: %w", ctx.Err())
		}
	}
}

// WhileLeading runs work each time this manager comes to lead, on a state that
// is up to date, and ends work's context when it no longer leads. It returns
// nil when ctx ends, or the error with which work ended while leading.
func (c *Consensus) WhileLeading(ctx context.Context, work func(ctx context.Context) error) error {
	for {
		if c.WaitLeading(ctx) != nil {
			return nil
		}
		if err := c.keepAddress(ctx); err != nil {
			c.log.Warn("the other managers do not know this one's address", "address", c.address, "error", err)
		}
		if err := c.whileLeading(ctx, work); err != nil {
			return err
		}
	}
}

func (c *Consensus) whileLeading(ctx context.Context, work func(ctx context.Context) error) error {
	changes, stop := c.Leadership()
	defer stop()
	term := c.raft.CurrentTerm()
	leading, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- work(leading) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-changes:
			if c.IsLeader() && c.raft.CurrentTerm() == term {
				continue
			}
		case <-ctx.Done():
		}
		cancel()
		<-ended // its error is about a leadership that is over
		return nil
	}
}

// Leadership signals changes of who leads, coalesced, until stop is called.
func (c *Consensus) Leadership() (changes <-chan struct{}, stop func()) {
	wake := make(chan struct{}, 1)
	observer := raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.RaftState, raft.LeaderObservation:
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		return false // nothing is sent to a channel
	})
	c.raft.RegisterObserver(observer)
	return wake, func() { c.raft.DeregisterObserver(observer) }
}
