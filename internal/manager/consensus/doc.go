// Package consensus keeps the cluster's state: hashicorp/raft decides in which
// order transactions happen, and a BoltDB file holds what they add up to. It
// implements store.Engine.
//
// # Files
//
// Below the data directory, where only one process at a time may work:
//
//	warren.db            the state, as store's package comment draws it
//	reserve              bytes set aside for deletions on a full disk
//	raft/                the durable truth: log, votes, snapshots
//	  run.json           which run of warren wrote last, and how it ended
//	raft.new/            a raft directory being made from a restored warren.db
//	raft.replaced/       the one that such a restore replaced
//
// # What is durable
//
// The Raft log and its snapshots are fsynced, warren.db is not: its pages
// survive a kill of the process, not a crash of the machine. So at start
//
//   - after a clean stop, or in the same boot of the machine, warren.db is
//     trusted, and what the log has beyond it is applied;
//   - after a crash of the machine it is thrown away and made anew from the
//     newest snapshot and the log;
//   - when it is damaged although it was trusted, Warren refuses to start.
//
// # Restoring a copy
//
// A person may stop Warren, put an earlier copy of warren.db in place and start
// again, and expects the copy to win. What tells a copy from a file that lags
// behind after a crash is its lineage: every start draws a new random one,
// writes it to warren.db and syncs that. A file of another lineage than the
// last run's is a restored copy. It gets a new Raft directory, which begins
// with a snapshot that holds it.
package consensus
