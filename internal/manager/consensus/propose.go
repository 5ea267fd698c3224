package consensus

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Propose implements store.Proposer.
func (c *Consensus) Propose(ctx context.Context, t *storepb.Transaction) (uint64, error) {
	entry, err := proto.Marshal(t)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", store.ErrMalformed, err)
	}
	if len(entry) > store.MaxTransactionBytes {
		return 0, fmt.Errorf("%w: %d of %d bytes", store.ErrTooLarge, len(entry), store.MaxTransactionBytes)
	}
	release, err := c.space.admit(int64(len(entry)), t.Reclaim)
	if err != nil {
		return 0, err
	}
	applied := make(chan result, 1)
	// Ends with the entry's fate, at the latest when Raft shuts down.
	go func() {
		defer release()
		applied <- c.await(c.raft.Apply(entry, 0))
	}()
	select {
	case r := <-applied:
		return r.index, r.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", store.ErrUnknown, ctx.Err())
	}
}

type result struct {
	index uint64
	err   error
}

// await sorts what Raft answers into what the store promises.
func (c *Consensus) await(future raft.ApplyFuture) result {
	err := future.Error()
	switch {
	case err == nil:
		refused, _ := future.Response().(error)
		if errors.Is(refused, errStopped) {
			refused = fmt.Errorf("%w: %w", store.ErrUnknown, refused)
		}
		return result{future.Index(), refused}
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return result{err: fmt.Errorf("%w: %w", store.ErrNotLeader, err)}
	case errors.Is(err, syscall.ENOSPC):
		// Raft steps down and leads again; the log drops what was half written.
		c.log.Error("the log cannot be written: the disk is full", "error", err)
		return result{err: fmt.Errorf("%w: %w", store.ErrUnknown, store.ErrDiskFull)}
	}
	return result{err: fmt.Errorf("%w: %w", store.ErrUnknown, err)}
}

// Snapshot implements store.Engine.
func (c *Consensus) Snapshot() (store.Snapshot, error) {
	v, err := c.machine.view()
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Subscribe implements store.Engine.
func (c *Consensus) Subscribe(f func(keys []string)) { c.machine.changed.Store(&f) }

// DiskFull tells whether only transactions that free space are admitted.
func (c *Consensus) DiskFull() bool { return c.space.isFull() }
