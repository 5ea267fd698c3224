package server

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type clusters struct {
	warrenv1.UnimplementedClustersServer
	*Server
}

// GetCluster says which cluster this is.
func (c *clusters) GetCluster(ctx context.Context, _ *warrenv1.GetClusterRequest) (cluster *warrenv1.Cluster, err error) {
	err = c.store.View(ctx, func(tx *store.ReadTx) error {
		if cluster, err = tx.Cluster().Get(); err != nil {
			return err
		}
		cluster.Version = c.config.Version
		if cluster.Settings, err = settings(tx); err != nil {
			return err
		}
		cluster.Leader, err = nodeName(tx, c.config.Leader())
		return err
	})
	return cluster, err
}

// settings are what people changed of the cluster, with all that they did not.
func settings(tx *store.ReadTx) (*warrenv1.ClusterSettings, error) {
	s, err := optional(tx.ClusterSettings().Peek())
	return &warrenv1.ClusterSettings{TrashTime: durationpb.New(spec.TrashTime(s))}, err
}

// UpdateCluster changes settings of the whole cluster. Volumes that are in the
// trash already go when they were to.
func (c *clusters) UpdateCluster(ctx context.Context, r *warrenv1.UpdateClusterRequest) (*warrenv1.Cluster, error) {
	if r.GetTrashTime() == nil {
		return nil, spec.Problemf(spec.Invalid, "cluster", "", "the update changes nothing").WithHint("warren cluster update --trash-time 48h")
	}
	if err := spec.ValidTrashTime(r.GetTrashTime()); err != nil {
		return nil, err
	}
	_, err := c.commit(ctx, func(tx *store.Tx) (string, error) {
		s, err := optional(tx.ClusterSettings().Get())
		if err != nil {
			return "", err
		}
		if s == nil {
			s = &warrenv1.ClusterSettings{}
		}
		s.TrashTime = r.GetTrashTime()
		return "cluster", tx.ClusterSettings().Put(s)
	})
	if err != nil {
		return nil, err
	}
	return c.GetCluster(ctx, &warrenv1.GetClusterRequest{})
}
