package consensus

// Compact makes a snapshot now and keeps no log before it.
func (c *Consensus) Compact() error {
	config := c.raft.ReloadableConfig()
	config.TrailingLogs = 0
	if err := c.raft.ReloadConfig(config); err != nil {
		return err
	}
	return c.raft.Snapshot().Error()
}
