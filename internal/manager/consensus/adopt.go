package consensus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

var keyCurrentTerm = []byte("CurrentTerm") // hashicorp/raft's own name for it

// finishAdoption ends what a restore began before it was killed: a complete
// new directory takes its place, an incomplete one goes.
func finishAdoption(raftDir string) error {
	fresh := raftDir + ".new"
	if !exists(fresh) {
		return nil
	}
	if !exists(raftDir) && exists(runPath(fresh)) {
		return rename(fresh, raftDir)
	}
	return os.RemoveAll(fresh)
}

// adoption is a warren.db that was put in place by a person.
type adoption struct {
	found
	raftDir, nodeID string
	address         raft.ServerAddress
	// term is at least every term that the old directory has seen.
	term    uint64
	segment int
	log     *slog.Logger
}

// run makes a Raft directory that begins with a snapshot of the restored file,
// after everything that the old directory and the file have seen, so that no
// index or term is ever used twice. The old directory is kept beside it. The
// file itself stays as it is: being older than the snapshot, it is made anew
// from it. run.json is written last: it makes the new directory complete.
func (a adoption) run() error {
	fresh := a.raftDir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	logs, err := openLog(fresh, a.segment, a.log)
	if err != nil {
		return err
	}
	at := position{max(a.applied.index, a.raftLast.index) + 1, max(a.applied.term, a.term) + 1}
	err = errors.Join(logs.SetUint64(keyCurrentTerm, at.term), logs.close())
	if err == nil {
		err = a.seed(fresh, at)
	}
	if err == nil {
		err = run{Lineage: a.lineage, BootID: a.bootID, Clean: true}.write(fresh)
	}
	if err != nil {
		return fmt.Errorf("restore from %s: %w", a.path, errors.Join(err, os.RemoveAll(fresh)))
	}
	replaced := a.raftDir + ".replaced"
	if err := os.RemoveAll(replaced); err != nil {
		return err
	}
	if exists(a.raftDir) {
		if err := rename(a.raftDir, replaced); err != nil {
			return err
		}
	}
	return rename(fresh, a.raftDir)
}

// seed writes the snapshot.
func (a adoption) seed(dir string, at position) error {
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keepSnapshots, raftLogger(a.log))
	if err != nil {
		return err
	}
	content, err := a.moved(filepath.Join(dir, "restored.db"), at)
	if err != nil {
		return err
	}
	defer os.Remove(content.Name())
	defer content.Close()
	_, transport := raft.NewInmemTransport(a.address)
	sink, err := snapshots.Create(raft.SnapshotVersionMax, at.index, at.term, alone(a.nodeID, a.address), at.index, transport)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sink, content); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// moved is a copy of the restored file that stands at another position, in a new
// era.
func (a adoption) moved(path string, at position) (*os.File, error) {
	original, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer original.Close()
	if err := writeFile(path, original); err != nil {
		return nil, err
	}
	db, err := openDatabase(path)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error { return errors.Join(writeApplied(tx, at), writeEra(tx, newEra())) })
	if err := errors.Join(err, db.Sync(), db.Close()); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// alone is the configuration of a cluster of one manager.
func alone(nodeID string, address raft.ServerAddress) raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(nodeID), Address: address}}}
}
