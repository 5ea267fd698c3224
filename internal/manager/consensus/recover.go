package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/raft"
)

// Standing is what a stopped manager has of the state.
type Standing struct {
	// LastIndex is the last entry of its log, written at LastAt; the zero time
	// when that is not known.
	LastIndex uint64
	LastAt    time.Time
	// Managers are the node IDs of all managers, as far as it knows.
	Managers []string
}

// Recover makes a stopped manager the only one of its cluster: for when a
// majority is lost for good. It keeps every change that this manager has heard
// of, also those that the lost ones may not have agreed upon; what only they
// had is lost. The others cannot take part any more, unless they are emptied.
// The log before is kept beside the new one, in raft.replaced.
//
// Before anything is changed, agree is asked; its error is returned. It may
// look into the database, which is up to date by then and not in use.
func Recover(o Options, agree func(Standing, string) error) error {
	lock, err := lockDir(o.DataDir)
	if err != nil {
		return err
	}
	stop, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := &Consensus{nodeID: o.NodeID, dir: o.DataDir, bootID: o.BootID, log: o.Logger, lock: lock, cancel: cancel, closed: make(chan struct{})}
	if c.bootID == "" {
		if c.bootID, err = bootID(); err != nil {
			return errors.Join(err, unlock(lock))
		}
	}
	c.address = raft.ServerAddress(o.NodeID)
	err = c.recover(stop, o, agree)
	if c.logs != nil {
		err = errors.Join(err, c.logs.close())
	}
	return errors.Join(err, unlock(lock))
}

func (c *Consensus) recover(stop context.Context, o Options, agree func(Standing, string) error) error {
	var err error
	if c.space, err = newSpace(c.dir, o.Reserve, c.log); err != nil {
		return err
	}
	if err := finishAdoption(c.raftDir()); err != nil {
		return err
	}
	f, err := look(c.databasePath(), c.raftDir(), c.bootID)
	if err != nil {
		return err
	}
	if err := c.openRaftDir(); err != nil {
		return err
	}
	term, err := c.survey(&f)
	if err != nil {
		return err
	}
	if f.raftLast.index == 0 {
		return fmt.Errorf("%s has no state to recover", c.dir)
	}
	verdict, err := f.decide()
	switch {
	case err != nil:
		return err
	case verdict == adopt && f.last != nil && !f.last.knows(f.lineage):
		return fmt.Errorf("%s is a copy that was put in the place of this manager's own file: put that back, or use the copy with `warren cluster restore`", f.path)
	case verdict == rebuild:
		if err := os.RemoveAll(f.path); err != nil {
			return err
		}
	}
	if f.lineage == "" || verdict == rebuild {
		f.lineage = f.last.Lineage
	}
	if f.applied, err = c.catchUp(stop, f); err != nil {
		return err
	}
	standing, err := c.standing(f.raftLast)
	if err != nil {
		return err
	}
	if err := agree(standing, f.path); err != nil {
		return err
	}
	if err := c.logs.close(); err != nil {
		return err
	}
	c.logs = nil
	a := adoption{found: f, raftDir: c.raftDir(), nodeID: c.nodeID, address: c.address, term: term, segment: c.space.segment(), log: c.log}
	return a.run()
}

// catchUp brings warren.db to the end of the log: entries that were not agreed
// upon for sure are taken too, since somebody may have been told that they were.
func (c *Consensus) catchUp(stop context.Context, f found) (position, error) {
	// The sum that a clean stop noted will not be the file's any more.
	during := run{Lineage: f.lineage, BootID: c.bootID}
	if err := during.write(c.raftDir()); err != nil {
		return position{}, err
	}
	m, err := newMachine(stop, f.path, f.lineage, c.space, c.log)
	if err != nil {
		return position{}, err
	}
	err = c.replay(m)
	err = errors.Join(err, m.close()) // which syncs
	if err == nil {
		during.Clean = true
		err = during.write(c.raftDir())
	}
	return f.raftLast, err
}

func (c *Consensus) replay(m *machine) error {
	list, err := c.snapshots.List()
	if err != nil {
		return err
	}
	if len(list) > 0 && list[0].Index > m.applied.Load() {
		_, content, err := c.snapshots.Open(list[0].ID)
		if err != nil {
			return err
		}
		if err := m.Restore(content); err != nil {
			return err
		}
	}
	last, err := c.logs.LastIndex()
	if err != nil {
		return err
	}
	for i := m.applied.Load() + 1; i <= last; i++ {
		entry := &raft.Log{}
		if err := c.logs.GetLog(i, entry); err != nil {
			return fmt.Errorf("read entry %d of the log: %w", i, err)
		}
		if answer, refused := m.Apply(entry).(error); refused && errors.Is(answer, errStopped) {
			return answer
		}
	}
	return nil
}

func (c *Consensus) standing(last position) (Standing, error) {
	s := Standing{LastIndex: last.index}
	var entry raft.Log
	if err := c.logs.GetLog(last.index, &entry); err == nil {
		s.LastAt = entry.AppendedAt
	} else if !errors.Is(err, raft.ErrLogNotFound) {
		return s, err
	}
	servers, err := c.configured()
	for _, server := range servers {
		s.Managers = append(s.Managers, string(server.ID))
	}
	return s, err
}

// Look hands f a view of the state in a database file that nobody uses. The
// file may be a copy that is not in its place; it is not changed.
func Look(path string, f func(get func(key string) []byte) error) error {
	if err := verify(path); err != nil {
		return err
	}
	found := found{path: path}
	if err := found.inspect(); err != nil {
		return err
	}
	if found.damage != nil {
		return found.damage
	}
	return lookInto(path, f)
}
