package consensus

import (
	"context"
	"errors"
	"fmt"
)

// Close stops taking part, waits until open Snapshots are closed, makes
// warren.db durable and leaves the mark of a clean stop.
func (c *Consensus) Close() error {
	c.closing.Do(func() { c.closeErr = c.release() })
	return c.closeErr
}

// release lets go of what is open, also when Open failed half way.
func (c *Consensus) release() error {
	var failed []error
	c.handOver()
	c.cancel() // a commit that cannot succeed must not keep Raft from ending
	c.tasks.Wait()
	if c.raft != nil {
		failed = append(failed, c.raft.Shutdown().Error())
	}
	close(c.closed)
	if c.machine != nil {
		failed = append(failed, c.machine.close())
	}
	if c.logs != nil {
		failed = append(failed, c.logs.close())
	}
	if c.raft != nil && errors.Join(failed...) == nil {
		failed = append(failed, c.leaveMark())
	}
	return errors.Join(append(failed, unlock(c.lock))...)
}

// handOver has another manager lead, so that the others need not find out that
// this one is gone. Best effort: they would.
func (c *Consensus) handOver() {
	if c.raft == nil || !c.IsLeader() {
		return
	}
	servers, err := c.servers()
	if err != nil || voters(servers) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*heartbeatTimeout)
	defer cancel()
	if err := c.TransferLeadership(ctx); err != nil {
		c.log.Info("leadership was not handed over", "error", err)
	}
}

func (c *Consensus) leaveMark() error {
	sum, err := sum(c.databasePath())
	if err != nil {
		return fmt.Errorf("leave the mark of a clean stop: %w", err)
	}
	return run{Lineage: c.machine.lineage, BootID: c.bootID, Clean: true, Sum: sum}.write(c.raftDir())
}
