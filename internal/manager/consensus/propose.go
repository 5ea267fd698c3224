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
	var index uint64
	err = c.wait(ctx, func() error {
		defer release()
		var err error
		index, err = c.await(c.raft.Apply(entry, 0))
		return err
	})
	if errors.Is(err, errAbandoned) {
		return 0, fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return index, err
}

// errAbandoned says that nobody waited for Raft's answer.
var errAbandoned = errors.New("no answer was waited for")

// wait runs ask, which waits for Raft, until it answers, ctx ends or the
// consensus is closed. Raft leaves some questions unanswered when it shuts down;
// those goroutines are all that outlives Close.
func (c *Consensus) wait(ctx context.Context, ask func() error) error {
	answer := make(chan error, 1)
	go func() { answer <- ask() }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errAbandoned, ctx.Err())
	case <-c.closed:
	}
	select {
	case err := <-answer: // it came in time
		return err
	default:
		return fmt.Errorf("%w: %w", errAbandoned, store.ErrClosed)
	}
}

// await sorts what Raft answers into what the store promises.
func (c *Consensus) await(future raft.ApplyFuture) (uint64, error) {
	err := future.Error()
	switch {
	case err == nil:
		refused, _ := future.Response().(error)
		if errors.Is(refused, errStopped) {
			refused = fmt.Errorf("%w: %w", store.ErrUnknown, refused)
		}
		return future.Index(), refused
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return 0, fmt.Errorf("%w: %w", store.ErrNotLeader, err)
	case errors.Is(err, syscall.ENOSPC):
		// Raft steps down and leads again; the log drops what was half written.
		c.log.Error("the log cannot be written: the disk is full", "error", err)
		return 0, fmt.Errorf("%w: %w", store.ErrUnknown, store.ErrDiskFull)
	}
	return 0, fmt.Errorf("%w: %w", store.ErrUnknown, err)
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
