package server

import (
	"context"
	"errors"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// setManager promotes or demotes a node. It says only what the node shall be:
// control/member changes the agreement, and the node hears of it in its
// session, gets a certificate and the unlock key, or lets go of them.
func (n *nodes) setManager(tx *store.Tx, node *warrenv1.Node, manager bool) error {
	switch is := slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER); {
	case is == manager:
		return nil
	case manager:
		return n.promote(tx, node)
	default:
		return n.demote(tx, node)
	}
}

func (n *nodes) promote(tx *store.Tx, node *warrenv1.Node) error {
	m := node.GetMeta()
	status, err := optional(tx.NodeStatus().Peek(m.GetId()))
	if err != nil {
		return err
	}
	if status.GetState() != warrenv1.NodeState_NODE_STATE_READY {
		return spec.Problemf(spec.Refused, spec.KindNode, m.GetName(), "node %q is %s: it cannot take its place as a manager",
			m.GetName(), spec.NodeStateName(status.GetState())).WithHint("warren node inspect %s", m.GetName())
	}
	node.Address = status.GetDescription().GetAddress()
	if err := freeAddress(&tx.ReadTx, node); err != nil {
		return err
	}
	node.Roles = []warrenv1.Role{warrenv1.Role_ROLE_MANAGER, warrenv1.Role_ROLE_WORKER}
	return errors.Join(tx.Retired().Delete(m.GetId()), tx.Events().Append(n.event(m, spec.KindNode, "promoted", "it becomes a manager too")))
}

func (n *nodes) demote(tx *store.Tx, node *warrenv1.Node) error {
	m := node.GetMeta()
	if !slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_WORKER) {
		return spec.Problemf(spec.Refused, spec.KindNode, m.GetName(), "node %q runs no containers: as no manager it would be nothing", m.GetName()).
			WithHint("sudo warren leave, on it; or warren node remove %s", m.GetName())
	}
	if err := keepsManagers(tx, node); err != nil {
		return err
	}
	node.Roles, node.Address = []warrenv1.Role{warrenv1.Role_ROLE_WORKER}, ""
	return errors.Join(n.retire(tx, m.GetId()), tx.Events().Append(n.event(m, spec.KindNode, "demoted", "it is a worker only")))
}

// retire makes the earlier certificates of a manager those of none.
func (s *Server) retire(tx *store.Tx, nodeID string) error {
	return errors.Join(tx.ManagerStatus().Delete(nodeID), tx.Retired().Put(&storepb.Retired{At: s.now()}, nodeID))
}

// keepsManagers refuses to take away a manager without which the others could
// not decide anything. It depends on all managers' rows, so that of two that
// would go at once, one is refused.
func keepsManagers(tx *store.Tx, node *warrenv1.Node) error {
	name := node.GetMeta().GetName()
	var others, down []string
	for key, row := range tx.Nodes().List() {
		if key.ID() == node.GetMeta().GetId() || !slices.Contains(row.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
			continue
		}
		if _, err := tx.Nodes().Get(key.ID()); err != nil {
			return err
		}
		status, err := optional(tx.ManagerStatus().Peek(key.ID()))
		if err != nil {
			return err
		}
		others = append(others, row.GetMeta().GetName())
		if status != nil && status.GetState() != warrenv1.ManagerState_MANAGER_STATE_READY {
			down = append(down, row.GetMeta().GetName())
		}
	}
	switch {
	case len(others) == 0:
		return spec.Problemf(spec.Refused, spec.KindNode, name, "node %q is the cluster's only manager", name).
			WithHint("let another manager join first: warren cluster join-token manager")
	case len(others)-len(down) < len(others)/2+1:
		return spec.Problemf(spec.Refused, spec.KindNode, name, "without node %q the managers would have no majority: %s would be needed, and does not answer",
			name, count("node", down)).WithHint("start it, or take it out first: warren node remove %s", down[0])
	}
	return nil
}

// awaitManager returns once a promoted node takes part as a manager.
func (n *nodes) awaitManager(ctx context.Context, id string) error {
	err := n.await(ctx, 3*n.config.Patience, func(tx *store.ReadTx) (string, bool, error) {
		status, err := optional(tx.ManagerStatus().Peek(id))
		return status.GetState().String(), status.GetState() == warrenv1.ManagerState_MANAGER_STATE_READY, err
	}, store.TableManagerStatus)
	if errors.Is(err, errStalled) {
		return spec.Problemf(spec.Unavailable, spec.KindNode, id, "the node is promoted, and has not taken its place yet").
			WithHint("it goes on by itself; what holds it up is in the log of the node and in: warren node list")
	}
	return err
}
