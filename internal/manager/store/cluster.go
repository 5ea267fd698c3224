package store

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Tables of one row each.
const (
	TableCluster         Table = "cluster"
	TableClusterKeys     Table = "clusterkeys"
	TableClusterSettings Table = "clustersettings"
	TableRotation        Table = "rotation"
)

var (
	cluster = &kind[warrenv1.Cluster, *warrenv1.Cluster]{
		table: TableCluster, depth: 1,
		transient: func(c *warrenv1.Cluster) { c.Version, c.Leader, c.Settings, c.Rotation = "", "", nil, nil },
	}
	clusterSettings = &kind[warrenv1.ClusterSettings, *warrenv1.ClusterSettings]{table: TableClusterSettings, depth: 1}
	clusterKeys     = &kind[storepb.ClusterKeys, *storepb.ClusterKeys]{table: TableClusterKeys, depth: 1}
	rotation        = &kind[warrenv1.Rotation, *warrenv1.Rotation]{table: TableRotation, depth: 1}
)

// self is the key of a table's only row.
const self = "self"

// Single reads a table that has one row.
type Single[T any, P Message[T]] struct{ rows Rows[T, P] }

// SingleTx reads and writes a table that has one row.
type SingleTx[T any, P Message[T]] struct{ rows RowsTx[T, P] }

// Get returns the row, and in an Update depends on it. ErrNotFound before the
// cluster was made.
func (s Single[T, P]) Get() (P, error) { return s.rows.Get(self) }

// Peek is Get without depending on the row.
func (s Single[T, P]) Peek() (P, error) { return s.rows.Peek(self) }

// Get returns the row and depends on it. ErrNotFound before the cluster was
// made.
func (s SingleTx[T, P]) Get() (P, error) { return s.rows.Get(self) }

// Peek is Get without depending on the row.
func (s SingleTx[T, P]) Peek() (P, error) { return s.rows.Peek(self) }

// Put writes the row.
func (s SingleTx[T, P]) Put(row P) error { return s.rows.Put(row, self) }

// Cluster gives the row that says which cluster this is.
func (tx *ReadTx) Cluster() Single[warrenv1.Cluster, *warrenv1.Cluster] {
	return Single[warrenv1.Cluster, *warrenv1.Cluster]{rows(tx, cluster)}
}

// Cluster gives the row that says which cluster this is.
func (tx *Tx) Cluster() SingleTx[warrenv1.Cluster, *warrenv1.Cluster] {
	return SingleTx[warrenv1.Cluster, *warrenv1.Cluster]{rowsTx(tx, cluster)}
}

// ClusterSettings gives the row of what people changed; there is none before.
func (tx *ReadTx) ClusterSettings() Single[warrenv1.ClusterSettings, *warrenv1.ClusterSettings] {
	return Single[warrenv1.ClusterSettings, *warrenv1.ClusterSettings]{rows(tx, clusterSettings)}
}

// ClusterSettings gives the row of what people changed; there is none before.
func (tx *Tx) ClusterSettings() SingleTx[warrenv1.ClusterSettings, *warrenv1.ClusterSettings] {
	return SingleTx[warrenv1.ClusterSettings, *warrenv1.ClusterSettings]{rowsTx(tx, clusterSettings)}
}

// ClusterKeys gives the row that opens secrets, given the unlock key.
func (tx *ReadTx) ClusterKeys() Single[storepb.ClusterKeys, *storepb.ClusterKeys] {
	return Single[storepb.ClusterKeys, *storepb.ClusterKeys]{rows(tx, clusterKeys)}
}

// ClusterKeys gives the row that opens secrets, given the unlock key.
func (tx *Tx) ClusterKeys() SingleTx[storepb.ClusterKeys, *storepb.ClusterKeys] {
	return SingleTx[storepb.ClusterKeys, *storepb.ClusterKeys]{rowsTx(tx, clusterKeys)}
}

// Rotation gives the row of the last rotation of keys; ErrNotFound before the
// first.
func (tx *ReadTx) Rotation() Single[warrenv1.Rotation, *warrenv1.Rotation] {
	return Single[warrenv1.Rotation, *warrenv1.Rotation]{rows(tx, rotation)}
}

// Rotation gives the row of the last rotation of keys; ErrNotFound before the
// first.
func (tx *Tx) Rotation() SingleTx[warrenv1.Rotation, *warrenv1.Rotation] {
	return SingleTx[warrenv1.Rotation, *warrenv1.Rotation]{rowsTx(tx, rotation)}
}
