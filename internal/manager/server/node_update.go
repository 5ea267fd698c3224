package server

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// UpdateNode changes a node's labels, or whether it is given tasks. What
// follows for tasks is control/service's and control/place's.
func (n *nodes) UpdateNode(ctx context.Context, r *warrenv1.UpdateNodeRequest) (*warrenv1.Node, error) {
	if err := spec.Labels(r.GetSetLabels()); err != nil {
		return nil, err
	}
	if _, known := warrenv1.NodeAvailability_name[int32(r.GetAvailability())]; !known {
		return nil, spec.Problemf(spec.Invalid, spec.KindNode, r.GetRef().GetNameOrId(), "a node is active or drained")
	}
	id, err := n.commit(ctx, func(tx *store.Tx) (string, error) {
		node, err := find(tx.Nodes(), spec.KindNode, r.GetRef())
		if err != nil {
			return "", err
		}
		m := node.GetMeta()
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		for key, value := range r.GetSetLabels() {
			m.Labels[key] = value
		}
		for _, key := range r.GetRemoveLabels() {
			if _, has := m.Labels[key]; !has {
				return "", spec.Problemf(spec.NotFound, spec.KindNode, m.GetName(), "node %q has no label %q", m.GetName(), key).
					WithHint("warren node inspect %s", m.GetName())
			}
			delete(m.Labels, key)
		}
		if err := spec.Labels(m.GetLabels()); err != nil {
			return "", err
		}
		if r.Availability != nil {
			node.Availability = r.GetAvailability()
		}
		if r.Manager != nil {
			if err := n.setManager(tx, node, r.GetManager()); err != nil {
				return "", err
			}
		}
		m.UpdatedAt = n.now()
		return m.GetId(), tx.Nodes().Put(node)
	})
	switch {
	case err != nil || r.Manager == nil:
	case r.GetManager():
		err = n.awaitManager(ctx, id)
	default:
		err = n.awaitResigned(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	return n.GetNode(ctx, &warrenv1.Ref{NameOrId: id})
}
