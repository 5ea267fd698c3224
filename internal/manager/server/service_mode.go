package server

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// wantedTasks is how many tasks a service, filled in with its tasks, should
// have: a global one counts the nodes that it can have one on now, and those
// that are down with one.
func wantedTasks(tx *store.ReadTx, service *warrenv1.Service) (wanted uint32, err error) {
	if !spec.IsGlobal(service.GetSpec()) {
		return service.GetSpec().GetReplicas(), nil
	}
	constraints, err := spec.ParseConstraints(service.GetSpec().GetConstraints())
	if err != nil {
		return 0, err
	}
	has := map[string]bool{}
	for _, t := range service.GetTasks() {
		has[t.GetOnlyNodeId()] = has[t.GetOnlyNodeId()] || !spec.Terminal(t.GetStatus().GetState())
	}
	for key, node := range tx.Nodes().List() {
		status, err := optional(tx.NodeStatus().Peek(key.ID()))
		if err != nil {
			return 0, err
		}
		up := status.GetState() == warrenv1.NodeState_NODE_STATE_READY
		if spec.Serves(node, constraints) && (up || has[key.ID()]) {
			wanted++
		}
	}
	return wanted, nil
}

// tiedToOneNode warns of a global service that one local volume keeps from all
// nodes but one.
func tiedToOneNode(tx *store.ReadTx, volume *warrenv1.Volume) string {
	node, err := nodeName(tx, volume.GetNodeId())
	if err != nil || node == "" {
		node = "one node"
	}
	return fmt.Sprintf("the local volume %s is on %s: the tasks of the other nodes wait", volume.GetMeta().GetName(), node)
}
