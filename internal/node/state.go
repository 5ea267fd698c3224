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
	consensus *consensus.Node
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
		for _, err := range tx.Services().List() {
			n.Services++
			if err != nil {
				return err
			}
		}
		for _, err := range tx.Secrets().List() {
			n.Secrets++
			if err != nil {
				return err
			}
		}
		for status, err := range tx.NodeStatus().List() {
			if err != nil {
				return err
			}
			n.Nodes[spec.NodeStateName(status.GetState())]++
		}
		for status, err := range tx.TaskStatus().List() {
			if err != nil {
				return err
			}
			n.Tasks[spec.TaskStateName(status.GetState())]++
		}
		return volumeSizes(tx, &n)
	})
	return n, err
}

func volumeSizes(tx *store.ReadTx, n *metrics.Snapshot) error {
	for v, err := range tx.Volumes().List() {
		if err != nil {
			return err
		}
		size := metrics.Volume{Namespace: v.GetMeta().GetNamespace(), Name: v.GetMeta().GetName(), Node: v.GetNodeId()}
		if status, err := tx.VolumeStatus().Get(v.GetMeta().GetId()); err == nil {
			size.UsedBytes = status.GetUsedBytes()
		}
		n.Volumes = append(n.Volumes, size)
	}
	return nil
}
