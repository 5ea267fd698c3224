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

// clusterKeys reads the rows that say which cluster this is and what opens its
// secrets.
func (s *state) clusterKeys(ctx context.Context) (cluster *warrenv1.Cluster, keys *storepb.ClusterKeys, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		var errCluster, errKeys error
		cluster, errCluster = tx.Cluster().Get()
		keys, errKeys = tx.ClusterKeys().Get()
		return errors.Join(errCluster, errKeys)
	})
	return cluster, keys, err
}

// numbers counts what the metrics show. It reads what this manager has, which
// may be a moment behind the leader.
func (s *state) numbers(ctx context.Context) (metrics.Snapshot, error) {
	n := metrics.Snapshot{Nodes: map[string]int{}, Tasks: map[string]int{}}
	err := s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for range tx.Services().List() {
			n.Services++
		}
		for range tx.Secrets().List() {
			n.Secrets++
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
	size := metrics.Volume{Namespace: v.GetMeta().GetNamespace(), Name: v.GetMeta().GetName(), Node: v.GetNodeId()}
	if status, err := tx.VolumeStatus().Peek(v.GetMeta().GetId()); err == nil {
		size.UsedBytes = status.GetUsedBytes()
	}
	return size
}
