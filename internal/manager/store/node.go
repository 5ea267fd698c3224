package store

import warrenv1 "github.com/cuemby/warren/api/warren/v1"

// Tables of nodes, of what they said of themselves, and of what the leader
// observed of managers.
const (
	TableManagerStatus Table = "managerstatus"

	TableNodes      Table = "node"
	TableNodeStatus Table = "nodestatus"
)

var nodes = &objectKind[warrenv1.Node, *warrenv1.Node]{
	noun: "node", global: true,
	kind: kind[warrenv1.Node, *warrenv1.Node]{table: TableNodes, depth: 1, transient: func(n *warrenv1.Node) {
		n.Status, n.Leader, n.Manager = nil, false, nil
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

var managerStatus = &kind[warrenv1.ManagerStatus, *warrenv1.ManagerStatus]{table: TableManagerStatus, depth: 1}

// ManagerStatus gives what the leader observed of managers: <node ID>.
func (tx *ReadTx) ManagerStatus() Rows[warrenv1.ManagerStatus, *warrenv1.ManagerStatus] {
	return rows(tx, managerStatus)
}

// ManagerStatus gives what the leader observed of managers: <node ID>.
func (tx *Tx) ManagerStatus() RowsTx[warrenv1.ManagerStatus, *warrenv1.ManagerStatus] {
	return rowsTx(tx, managerStatus)
}
