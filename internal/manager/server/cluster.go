package server

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
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
		cluster.Leader, err = nodeName(tx, c.config.Leader())
		return err
	})
	return cluster, err
}
