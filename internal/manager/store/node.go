package store

import warrenv1 "github.com/cuemby/warren/api/warren/v1"

// Tables of nodes and of what they said of themselves.
const (
	TableNodes      Table = "node"
	TableNodeStatus Table = "nodestatus"
)

var nodes = &objectKind[warrenv1.Node, *warrenv1.Node]{
	noun: "node", global: true,
	kind: kind[warrenv1.Node, *warrenv1.Node]{table: TableNodes, depth: 1, transient: func(n *warrenv1.Node) {
		n.Status, n.Leader = nil, false
	}},
}

var nodeStatus = &kind[warrenv1.NodeStatus, *warrenv1.NodeStatus]{table: TableNodeStatus, depth: 1}

// Nodes gives the nodes: <id>. They belong to no namespace.
func (tx *ReadTx) Nodes() Objects[warrenv1.Node, *warrenv1.Node] { return objects(tx, nodes) }

// Nodes gives the nodes: <id>. They belong to no namespace.
func (tx *Tx) Nodes() ObjectsTx[warrenv1.Node, *warrenv1.Node] { return objectsTx(tx, nodes) }

// NodeStatus gives what nodes said of themselves: <node ID>.
func (tx *ReadTx) NodeStatus() Rows[warrenv1.NodeStatus, *warrenv1.NodeStatus] {
	return rows(tx, nodeStatus)
}

// NodeStatus gives what nodes said of themselves: <node ID>.
func (tx *Tx) NodeStatus() RowsTx[warrenv1.NodeStatus, *warrenv1.NodeStatus] {
	return rowsTx(tx, nodeStatus)
}
