package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cuemby/warren/internal/manager/store"
)

// Member is a manager that takes part in the agreement.
type Member struct {
	NodeID string
	// Address is host:port, where the other managers reach it.
	Address string
	// Voter is false while it is still catching up.
	Voter  bool
	Leader bool
	// Heard is when it last answered this manager, which must be the leader;
	// zero when it never did.
	Heard time.Time
}

// Members are the managers of the cluster, as far as this one knows.
func (c *Consensus) Members() ([]Member, error) {
	servers, err := c.servers()
	if err != nil {
		return nil, err
	}
	leader := c.Leader()
	members := make([]Member, len(servers))
	for i, s := range servers {
		members[i] = Member{string(s.ID), string(s.Address), s.Suffrage == raft.Voter, string(s.ID) == leader, c.progress.heard(string(s.ID))}
		if string(s.ID) == c.nodeID {
			members[i].Heard = time.Now()
		}
	}
	return members, nil
}

func (c *Consensus) servers() ([]raft.Server, error) {
	future := c.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return nil, fmt.Errorf("list the managers: %w", err)
	}
	return future.Configuration().Servers, nil
}

// progressCheck is how often a new manager's progress is looked at; the leader
// hears of it with every heartbeat.
const progressCheck = 20 * time.Millisecond

// AddManager makes a node one of the cluster's managers. It first only listens
// and gets a vote once it has everything that was agreed upon before, so that
// no agreement ever waits for one that is empty. The node must be listening at
// the address (host:port) already. When ctx ends earlier, it is taken out
// again. Repeating the call is harmless, and is how a manager's address is
// changed. Only the leader can: store.ErrNotLeader elsewhere.
func (c *Consensus) AddManager(ctx context.Context, nodeID, address string) error {
	servers, err := c.servers()
	if err != nil {
		return err
	}
	before := find(servers, nodeID)
	for _, s := range servers {
		if string(s.Address) == address && string(s.ID) != nodeID {
			return fmt.Errorf("%w: the address %s is that of the manager %s", ErrAddressTaken, address, s.ID)
		}
	}
	if before != nil && before.Suffrage == raft.Voter {
		if string(before.Address) == address {
			return c.change(ctx, nil) // this manager may be behind
		}
		return c.changeTo(ctx, c.raft.AddVoter, nodeID, address)
	}
	// One that does not answer, or is of another era, is not worth two changes.
	if c.reach != nil && before == nil {
		if err := c.reach(address); err != nil {
			return fmt.Errorf("the manager %s at %s does not answer: %w", nodeID, address, err)
		}
	}
	if err := c.changeTo(ctx, c.raft.AddNonvoter, nodeID, address); err != nil {
		return err
	}
	if err := c.awaitProgress(ctx, nodeID, c.raft.LastIndex()); err != nil {
		if before == nil && !errors.Is(err, store.ErrNotLeader) {
			undo := c.change(context.WithoutCancel(ctx), func() raft.Future { return c.raft.RemoveServer(raft.ServerID(nodeID), 0, changeLimit) })
			err = errors.Join(err, undo)
		}
		return fmt.Errorf("bring the manager %s at %s up to date: %w", nodeID, address, err)
	}
	return c.changeTo(ctx, c.raft.AddVoter, nodeID, address)
}

var (
	// ErrAddressTaken says that another manager has the address.
	ErrAddressTaken = errors.New("address taken")
	// ErrLastVoter says that without this manager nobody could decide.
	ErrLastVoter = errors.New("it is the last manager with a vote")
)

// RemoveManager takes a node out of the agreement; it is fine when it is none
// of the managers. A leader that removes itself hands over first and answers
// store.ErrNotLeader: the next leader is to be asked again. ErrLastVoter for the
// only one with a vote.
func (c *Consensus) RemoveManager(ctx context.Context, nodeID string) error {
	servers, err := c.servers()
	if err != nil {
		return err
	}
	server := find(servers, nodeID)
	switch {
	case server == nil:
		return c.change(ctx, nil)
	case server.Suffrage == raft.Voter && voters(servers) == 1:
		return fmt.Errorf("remove the manager %s: %w", nodeID, ErrLastVoter)
	case nodeID == c.nodeID && c.IsLeader():
		if err := c.TransferLeadership(ctx); err != nil {
			return err
		}
		return fmt.Errorf("%w: it has just handed over, to be removed", store.ErrNotLeader)
	}
	return c.change(ctx, func() raft.Future { return c.raft.RemoveServer(raft.ServerID(nodeID), 0, changeLimit) })
}

// TransferLeadership has another manager lead, the one that is most up to
// date, and returns once it does.
func (c *Consensus) TransferLeadership(ctx context.Context) error {
	err := c.wait(ctx, func() error { return c.raft.LeadershipTransfer().Error() })
	if err == nil || errors.Is(err, raft.ErrNotLeader) {
		return nil
	}
	return fmt.Errorf("hand leadership over: %w", err)
}

// TransferLeadershipTo has one other manager lead.
func (c *Consensus) TransferLeadershipTo(ctx context.Context, nodeID, address string) error {
	err := c.wait(ctx, func() error {
		return c.raft.LeadershipTransferToServer(raft.ServerID(nodeID), raft.ServerAddress(address)).Error()
	})
	if err == nil || errors.Is(err, raft.ErrNotLeader) {
		return nil
	}
	return fmt.Errorf("hand leadership over to %s: %w", nodeID, err)
}

// changeLimit bounds how long a change of the managers waits to be begun.
const changeLimit = 5 * time.Second

func (c *Consensus) changeTo(ctx context.Context, add func(raft.ServerID, raft.ServerAddress, uint64, time.Duration) raft.IndexFuture, nodeID, address string) error {
	return c.change(ctx, func() raft.Future { return add(raft.ServerID(nodeID), raft.ServerAddress(address), 0, changeLimit) })
}

// change makes a change of the managers and waits until it is agreed upon; with
// no change it makes sure that this is the leader, and up to date.
func (c *Consensus) change(ctx context.Context, begin func() raft.Future) error {
	if begin == nil {
		return c.Barrier(ctx)
	}
	err := c.wait(ctx, func() error { return begin().Error() })
	switch {
	case err == nil, errors.Is(err, errAbandoned):
		return err
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return leaderError(err)
	}
	return fmt.Errorf("change the managers: %w", err)
}

// awaitProgress returns once the node has the log up to that index.
func (c *Consensus) awaitProgress(ctx context.Context, nodeID string, index uint64) error {
	tick := time.NewTicker(progressCheck)
	defer tick.Stop()
	for c.progress.of(nodeID) < index {
		if !c.IsLeader() {
			return store.ErrNotLeader
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not answer, or not fast enough: %w", ctx.Err())
		case <-c.closed:
			return store.ErrClosed
		}
	}
	return nil
}

func find(servers []raft.Server, nodeID string) *raft.Server {
	for i := range servers {
		if string(servers[i].ID) == nodeID {
			return &servers[i]
		}
	}
	return nil
}

func voters(servers []raft.Server) (n int) {
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			n++
		}
	}
	return n
}
