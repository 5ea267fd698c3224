package server

import (
	"context"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type nodes struct {
	warrenv1.UnimplementedNodesServer
	*Server
}

// GetNode returns one node with what it said of itself.
func (n *nodes) GetNode(ctx context.Context, ref *warrenv1.Ref) (node *warrenv1.Node, err error) {
	err = n.store.View(ctx, func(tx *store.ReadTx) error {
		if node, err = find(tx.Nodes(), spec.KindNode, ref); err != nil {
			return err
		}
		return n.fill(tx, node)
	})
	return node, err
}

// ListNodes lists all nodes; they belong to no namespace.
func (n *nodes) ListNodes(ctx context.Context, f *warrenv1.Filter) (*warrenv1.ListNodesResponse, error) {
	if _, err := checkFilter(f); err != nil {
		return nil, err
	}
	out := &warrenv1.ListNodesResponse{}
	err := n.store.View(ctx, func(tx *store.ReadTx) error {
		for _, node := range tx.Nodes().List() {
			if !spec.MatchLabels(node.GetMeta().GetLabels(), f.GetLabels()) {
				continue
			}
			if err := n.fill(tx, node); err != nil {
				return err
			}
			out.Nodes = append(out.Nodes, node)
		}
		return nil
	})
	return out, err
}

func (n *nodes) fill(tx *store.ReadTx, node *warrenv1.Node) (err error) {
	node.Leader = node.GetMeta().GetId() == n.config.Leader()
	if node.Status, err = optional(tx.NodeStatus().Peek(node.GetMeta().GetId())); err != nil {
		return err
	}
	if slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
		node.Manager, err = optional(tx.ManagerStatus().Peek(node.GetMeta().GetId()))
	}
	return err
}

// target is where a conversation with a worker goes.
type target struct{ id, name string }

// readyNodes returns the nodes that can be spoken with.
func (s *Server) readyNodes(ctx context.Context) (out []target, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		for key, status := range tx.NodeStatus().List() {
			if status.GetState() != warrenv1.NodeState_NODE_STATE_READY {
				continue
			}
			name, err := nodeName(tx, key.ID())
			if err != nil {
				return err
			}
			out = append(out, target{key.ID(), name})
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		return nil, spec.Problemf(spec.Unavailable, spec.KindNode, "", "no node is ready").WithHint("warren node list")
	}
	return out, err
}
