package node

import (
	"context"
	"errors"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/metrics"
	"github.com/cuemby/warren/internal/spec"
)

// state is the replicated state of this manager, and the store above it.
type state struct {
	consensus *consensus.Consensus
	store     *store.Store
}

// openState opens the replicated state. It may be behind, and before a manager
// has first heard of the others it is empty.
func openState(p *prepared) (*state, error) {
	log := p.log.With("room", "consensus")
	node, err := consensus.Open(consensus.Options{
		DataDir: p.layout.state(), NodeID: p.settings.NodeID, BootID: p.options.BootID, Logger: log,
		Transport: consensus.NewTransport(p.port.Raft(p.settings.AdvertiseAddr), log),
	})
	if err != nil {
		return nil, err
	}
	p.port.InEra(node.Era)
	return &state{consensus: node, store: store.New(node)}, nil
}

func (s *state) close() error { return s.consensus.Close() }

// clusterKeys reads the rows that say which cluster this is and what opens its
// secrets. It waits for them: a manager that has joined, or whose database is
// being made anew, gets them from the others.
func (s *state) clusterKeys(ctx context.Context) (cluster *warrenv1.Cluster, keys *storepb.ClusterKeys, err error) {
	w := s.store.Watch(store.TableCluster, store.TableClusterKeys)
	defer w.Close()
	for {
		err = s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
			var errCluster, errKeys error
			cluster, errCluster = tx.Cluster().Get()
			keys, errKeys = tx.ClusterKeys().Get()
			return errors.Join(errCluster, errKeys)
		})
		if !errors.Is(err, store.ErrNotFound) {
			return cluster, keys, err
		}
		if _, err := w.Next(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// numbers counts what the metrics show. It reads what this manager has, which
// may be a moment behind the leader.
func (s *state) numbers(ctx context.Context) (metrics.Snapshot, error) {
	n := metrics.Snapshot{Nodes: map[string]int{}, Tasks: map[string]int{}}
	err := s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for range tx.Services().List() {
			n.Services++
		}
		for key := range tx.Secrets().Keys() {
			n.Secrets++
			secret, err := tx.Secrets().EvenAltered().Get(key.Parts()...)
			if err != nil {
				continue // one that cannot be read hides no figure of the others
			}
			if at := spec.NewestVersion(secret).GetExpiresAt(); at != nil {
				n.Expiring = append(n.Expiring, metrics.Secret{
					Namespace: secret.GetMeta().GetNamespace(), Name: secret.GetMeta().GetName(), ExpiresAt: at.AsTime(),
				})
			}
		}
		for _, status := range tx.NodeStatus().List() {
			n.Nodes[spec.NodeStateName(status.GetState())]++
		}
		for _, status := range tx.TaskStatus().List() {
			n.Tasks[spec.TaskStateName(status.GetState())]++
		}
		for _, v := range tx.Volumes().List() {
			n.Volumes = append(n.Volumes, volumeSize(tx, v))
		}
		return nil
	})
	return n, err
}

func volumeSize(tx *store.ReadTx, v *warrenv1.Volume) metrics.Volume {
	size := metrics.Volume{
		Namespace: v.GetMeta().GetNamespace(), Name: v.GetMeta().GetName(), Node: v.GetNodeId(),
		LimitBytes: v.GetSpec().GetSizeBytes(), Trash: v.GetTrashedAt() != nil,
	}
	if status, err := tx.VolumeStatus().Peek(v.GetMeta().GetNamespace(), v.GetMeta().GetId()); err == nil {
		size.UsedBytes, size.CapacityBytes = status.GetUsedBytes(), status.GetCapacityBytes()
	}
	return size
}
