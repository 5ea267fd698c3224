package store

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Tables of namespaces, and the guards of what is in them.
const (
	TableNamespaces Table = "namespace"
	TableCrowds     Table = "crowd"
)

var (
	namespaces = &objectKind[warrenv1.Namespace, *warrenv1.Namespace]{
		noun: "namespace", global: true,
		kind: kind[warrenv1.Namespace, *warrenv1.Namespace]{table: TableNamespaces, depth: 1, transient: func(n *warrenv1.Namespace) {
			n.Use = nil
		}},
	}
	crowds = &kind[storepb.Crowd, *storepb.Crowd]{table: TableCrowds, depth: 1}
)

// Namespaces gives the namespaces that were made: <name>.
func (tx *ReadTx) Namespaces() Objects[warrenv1.Namespace, *warrenv1.Namespace] {
	return objects(tx, namespaces)
}

// Namespaces gives the namespaces that were made: <name>.
func (tx *Tx) Namespaces() ObjectsTx[warrenv1.Namespace, *warrenv1.Namespace] {
	return objectsTx(tx, namespaces)
}

// Crowds gives the guards of what is in namespaces: <name>.
func (tx *Tx) Crowds() RowsTx[storepb.Crowd, *storepb.Crowd] { return rowsTx(tx, crowds) }
