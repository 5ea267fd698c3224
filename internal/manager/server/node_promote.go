package server

import (
	"context"
	"errors"
	"net"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// setManager promotes or demotes a node. It says only what the node shall be:
// control/member changes the agreement, and the node hears of it in its
// session, gets a certificate and the unlock key, or lets go of them.
func (n *nodes) setManager(tx *store.Tx, node *warrenv1.Node, manager bool) error {
	switch is := manages(node); {
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
	if err := n.reachableByAll(tx, node); err != nil {
		return err
	}
	node.Roles, node.Resigning = []warrenv1.Role{warrenv1.Role_ROLE_MANAGER, warrenv1.Role_ROLE_WORKER}, false
	return errors.Join(tx.Retired().Delete(m.GetId()), tx.Events().Append(n.event(m, spec.KindNode, "promoted", "it becomes a manager too")))
}

// reachableByAll refuses an address that means another machine on each machine,
// unless all managers are on one.
func (n *nodes) reachableByAll(tx *store.Tx, node *warrenv1.Node) error {
	if !loopback(node.GetAddress()) {
		return nil
	}
	for _, other := range tx.Nodes().List() {
		if other.GetAddress() != "" && !loopback(other.GetAddress()) {
			name := node.GetMeta().GetName()
			return spec.Problemf(spec.Refused, spec.KindNode, name, "the other managers cannot reach node %q at its address %s", name, node.GetAddress()).
				WithHint("start it with --advertise-addr HOST:PORT, then promote it")
		}
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func (n *nodes) demote(tx *store.Tx, node *warrenv1.Node) error {
	m := node.GetMeta()
	if !slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_WORKER) {
		return spec.Problemf(spec.Refused, spec.KindNode, m.GetName(), "node %q runs no containers: as no manager it would be nothing", m.GetName()).
			WithHint("sudo warren leave, on it; or warren node remove %s", m.GetName())
	}
	return resign(tx, node)
}

// manages tells whether a node is a manager, and is to stay one.
func manages(node *warrenv1.Node) bool {
	return slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) && !node.GetResigning()
}

// resign asks for the end of a node's time as a manager. The other managers let
// it go first (control/member), which may need its vote.
func resign(tx *store.Tx, node *warrenv1.Node) error {
	if err := keepsManagers(tx, node); err != nil {
		return err
	}
	node.Resigning = true
	return tx.Nodes().Put(node)
}

// awaitResigned returns once a node that was to be no manager any more is none.
func (s *Server) awaitResigned(ctx context.Context, id string) error {
	if s.config.Peers != nil && s.config.Peers.IsLeader() && s.config.Leader() == id {
		// This manager would not hear the end of it. The next leader does, when
		// the call is made again.
		if err := s.config.Peers.TransferLeadership(ctx); err != nil {
			s.log.Info("leadership was not handed over; others may be at it", "error", err)
		}
		return store.ErrNotLeader
	}
	err := s.await(ctx, 3*s.config.Patience, func(tx *store.ReadTx) (string, bool, error) {
		node, err := optional(tx.Nodes().Peek(id))
		return "", !node.GetResigning(), err
	}, store.TableNodes)
	if errors.Is(err, errStalled) {
		return spec.Problemf(spec.Unavailable, spec.KindNode, id, "the other managers have not let the node go yet").
			WithHint("a majority of the managers must be running: warren node list")
	}
	return err
}

// keepsManagers refuses to take away a manager without which the others could
// not decide anything. It depends on all managers' rows, so that of two that
// would go at once, one is refused.
func keepsManagers(tx *store.Tx, node *warrenv1.Node) error {
	name := node.GetMeta().GetName()
	var others, down []string
	for key, row := range tx.Nodes().List() {
		if key.ID() == node.GetMeta().GetId() || !manages(row) {
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
