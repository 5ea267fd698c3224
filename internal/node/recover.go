package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/spec"
)

// Standing is what a stopped manager has, for whoever decides whether the
// cluster is to go on from it.
type Standing struct {
	ClusterID, NodeName string
	// LastIndex is the last change it has heard of, at LastAt; the zero time
	// when that is not known.
	LastIndex uint64
	LastAt    time.Time
	// Others are the names of the managers that are given up.
	Others []string
}

// Recover makes a stopped manager the only one of its cluster, after a majority
// was lost for good. agree is asked before anything is changed.
func Recover(o Options, agree func(Standing) error) error {
	p, err := prepare(o, "sudo warren cluster recover")
	if err != nil {
		return err
	}
	defer p.close()
	if !p.initialised || !p.settings.Manager {
		return spec.Problemf(spec.Refused, "node", p.settings.NodeName, "%s is not the data directory of a manager", p.layout.Data).
			WithHint("name it with --data-dir; without any manager's directory: warren cluster restore FILE")
	}
	return consensus.Recover(consensus.Options{
		DataDir: p.layout.state(), NodeID: p.settings.NodeID, BootID: p.options.BootID, Logger: p.log.With("room", "consensus"),
	}, func(s consensus.Standing, database string) error {
		others, err := p.names(database, s.Managers)
		if err != nil {
			return err
		}
		return agree(Standing{
			ClusterID: p.settings.ClusterID, NodeName: p.settings.NodeName,
			LastIndex: s.LastIndex, LastAt: s.LastAt, Others: others,
		})
	})
}

// names are what people call the other managers.
func (p *prepared) names(database string, ids []string) (others []string, err error) {
	err = consensus.Look(database, func(get func(string) []byte) error {
		for _, id := range ids {
			if id == p.settings.NodeID {
				continue
			}
			node := &warrenv1.Node{}
			if err := proto.Unmarshal(get("node/"+id), node); err != nil {
				return err
			}
			name := node.GetMeta().GetName()
			if name == "" {
				name = id
			}
			others = append(others, name)
		}
		return nil
	})
	return others, err
}

// discardState has a manager begin again without a state, to take over that of
// the others. What it had is kept beside it.
func (p *prepared) discardState() error {
	aside := p.layout.state() + ".before-" + time.Now().UTC().Format("20060102-150405")
	if err := os.Rename(p.layout.state(), aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("put this manager's state aside: %w", err)
	}
	p.log.Warn("this manager's state was put aside; it takes over that of the others", "kept_in", filepath.Base(aside))
	return errors.Join(directories(p.layout), syncDir(p.layout.Data))
}
