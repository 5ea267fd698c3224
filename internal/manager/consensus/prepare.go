package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/raft"
)

// prepare brings warren.db and raft/ together, as decide says, and leaves the
// log open.
func (c *Consensus) prepare(f found) (found, error) {
	if err := c.openRaftDir(); err != nil {
		return f, err
	}
	term, err := c.survey(&f)
	if err != nil {
		return f, err
	}
	verdict, err := f.decide()
	if err != nil {
		return f, err
	}
	if verdict != rebuild {
		if err := c.saveBeforeMigration(f); err != nil {
			return f, err
		}
	}
	switch verdict {
	case rebuild:
		c.log.Warn("warren.db is made anew from the log", "directory", c.dir)
		return f, os.RemoveAll(f.path)
	case adopt:
		c.log.Warn("warren.db is a restored copy: the cluster goes on from it", "file", f.path, "before", c.raftDir()+".replaced")
		return c.adopt(f, term)
	}
	return f, nil
}

func (c *Consensus) adopt(f found, term uint64) (found, error) {
	managers, err := c.configured()
	if err != nil {
		return f, err
	}
	if len(managers) > 1 {
		return f, fmt.Errorf("%s is a restored copy, but the cluster has %d other managers, who would not follow it. "+
			"Move it away (mv %s %s.restored) and start again to go on with them; or stop all managers, and on this one: "+
			"sudo warren cluster restore %s.restored --force", f.path, len(managers)-1, f.path, f.path, f.path)
	}
	if err := c.logs.close(); err != nil {
		return f, err
	}
	a := adoption{found: f, raftDir: c.raftDir(), nodeID: c.nodeID, term: term, segment: c.space.segment(), log: c.log}
	if err := a.run(); err != nil {
		return f, err
	}
	return f, c.openRaftDir()
}

func (c *Consensus) openRaftDir() (err error) {
	if c.logs, err = openLog(c.raftDir(), c.space.segment(), c.log); err != nil {
		return err
	}
	c.snapshots, err = raft.NewFileSnapshotStoreWithLogger(c.raftDir(), keepSnapshots, raftLogger(c.log))
	return err
}

// begin makes warren.db, which has the given lineage, this run's, in an order
// that tells every crash in between from a restore: first raft/ learns the new
// lineage, then warren.db gets it, then raft/ forgets the old one.
func (c *Consensus) begin(stop context.Context, lineage string) (*machine, error) {
	r := run{Lineage: lineage, Next: newLineage(), BootID: c.bootID}
	// What raft/ says of the file must be true after a crash of the machine too.
	if err := syncFile(c.databasePath()); err != nil {
		return nil, err
	}
	if err := r.write(c.raftDir()); err != nil {
		return nil, err
	}
	m, err := newMachine(stop, c.databasePath(), r.Next, c.space, c.log)
	if err != nil {
		return nil, err
	}
	if err := syncDir(c.dir); err != nil {
		return nil, errors.Join(err, m.db.Close())
	}
	r.Lineage, r.Next = r.Next, ""
	if err := r.write(c.raftDir()); err != nil {
		return nil, errors.Join(err, m.db.Close())
	}
	return m, nil
}

// survey fills in the last entry that raft/ has, and returns the highest term
// it has seen.
func (c *Consensus) survey(f *found) (term uint64, err error) {
	if term, err = c.logs.GetUint64(keyCurrentTerm); err != nil {
		return 0, err
	}
	list, err := c.snapshots.List()
	if err != nil {
		return 0, err
	}
	if len(list) > 0 {
		f.raftLast = position{list[0].Index, list[0].Term}
	}
	last, err := c.logs.LastIndex()
	if err != nil {
		return 0, err
	}
	if last > f.raftLast.index {
		var entry raft.Log
		if err := c.logs.GetLog(last, &entry); err != nil {
			return 0, fmt.Errorf("read entry %d of the log: %w", last, err)
		}
		f.raftLast = position{entry.Index, entry.Term}
	}
	return max(term, f.raftLast.term), nil
}

// configured are the managers in the latest configuration.
func (c *Consensus) configured() ([]raft.Server, error) {
	list, err := c.snapshots.List()
	if err != nil {
		return nil, err
	}
	var servers []raft.Server
	if len(list) > 0 {
		servers = list[0].Configuration.Servers
	}
	first, err := c.logs.FirstIndex()
	if err != nil {
		return nil, err
	}
	last, err := c.logs.LastIndex()
	if err != nil {
		return nil, err
	}
	for i := max(first, 1); i <= last; i++ {
		var entry raft.Log
		if err := c.logs.GetLog(i, &entry); err != nil {
			return nil, fmt.Errorf("read entry %d of the log: %w", i, err)
		}
		if entry.Type == raft.LogConfiguration {
			servers = raft.DecodeConfiguration(entry.Data).Servers
		}
	}
	return servers, nil
}
