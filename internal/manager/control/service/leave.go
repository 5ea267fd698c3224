package service

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// leaves tells whether a task has to leave its node because that is drained,
// and whether it has left it because nobody hears of the node and nothing ties
// the task to it. A task whose data is on a node that is down waits for it:
// elsewhere it would begin with an empty volume, beside one that may still
// write. A global service's task has nowhere else to go.
func leaves(tx *store.ReadTx, t *warrenv1.Task) (evicted, away bool, err error) {
	if t.GetNodeId() == "" {
		return false, false, nil
	}
	node, err := tx.Nodes().Peek(t.GetNodeId())
	if unlessNotFound(err) != nil {
		return false, false, err
	}
	status, err := tx.NodeStatus().Peek(t.GetNodeId())
	if unlessNotFound(err) != nil {
		return false, false, err
	}
	evicted = node.GetAvailability() == warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED
	if status.GetState() != warrenv1.NodeState_NODE_STATE_DOWN || t.GetOnlyNodeId() != "" {
		return evicted, false, nil
	}
	tied, err := tied(tx, t)
	return evicted, !tied, err
}

// tied tells whether a volume of the task is on its node and nowhere else.
func tied(tx *store.ReadTx, t *warrenv1.Task) (bool, error) {
	for _, pin := range t.GetVolumes() {
		volume, err := tx.Volumes().Peek(t.GetMeta().GetNamespace(), pin.GetVolumeId())
		if unlessNotFound(err) != nil {
			return false, err
		}
		if volume.GetNodeId() != "" {
			return true, nil
		}
	}
	return false, nil
}
