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

// GetCluster says which cluster this is, and how its managers are.
func (c *clusters) GetCluster(ctx context.Context, _ *warrenv1.GetClusterRequest) (cluster *warrenv1.Cluster, err error) {
	err = c.store.View(ctx, func(tx *store.ReadTx) error {
		if cluster, err = tx.Cluster().Get(); err != nil {
			return err
		}
		cluster.Version = c.config.Version
		if cluster.Settings, err = settings(tx); err != nil {
			return err
		}
		if cluster.Rotation, err = optional(tx.Rotation().Get()); err != nil {
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
	if s == nil {
		s = &warrenv1.ClusterSettings{}
	}
	s.TrashTime = durationpb.New(spec.TrashTime(s))
	return s, err
}

// UpdateCluster changes settings of the whole cluster. Volumes that are in the
// trash already go when they were to.
func (c *clusters) UpdateCluster(ctx context.Context, r *warrenv1.UpdateClusterRequest) (*warrenv1.Cluster, error) {
	if r.GetTrashTime() == nil && r.Autolock == nil && r.GetRotateEvery() == nil {
		return nil, spec.Problemf(spec.Invalid, "cluster", "", "the update changes nothing").WithHint("warren cluster update --trash-time 48h")
	}
	if r.GetTrashTime() != nil {
		if err := spec.ValidTrashTime(r.GetTrashTime()); err != nil {
			return nil, err
		}
	}
	if err := spec.ValidRotateEvery(r.GetRotateEvery()); err != nil {
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
		if r.TrashTime != nil {
			s.TrashTime = r.GetTrashTime()
		}
		if r.RotateEvery != nil {
			s.RotateEvery = r.GetRotateEvery()
		}
		if r.Autolock != nil {
			s.Autolock = r.GetAutolock()
			if err := mayAutolock(tx, s); err != nil {
				return "", err
			}
		}
		return "cluster", tx.ClusterSettings().Put(s)
	})
	if err != nil {
		return nil, err
	}
	return c.GetCluster(ctx, &warrenv1.GetClusterRequest{})
}

// mayAutolock refuses to lock a cluster of which nobody has the key.
func mayAutolock(tx *store.Tx, s *warrenv1.ClusterSettings) error {
	cluster, err := tx.Cluster().Get()
	if err != nil || !s.GetAutolock() || cluster.GetUnlockKeyExportedAt() != nil {
		return err
	}
	return spec.Problemf(spec.Refused, "cluster", cluster.GetName(), "nobody was ever given the unlock key: after the next start, nobody could unlock the managers").
		WithHint("warren cluster unlock-key, and keep it; then the same again")
}
