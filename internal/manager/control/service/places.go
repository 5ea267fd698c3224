package service

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// places are the slots that should have tasks now, by number. A replicated
// service has as many as its spec says. A global one has one per node: a node
// keeps its number for as long as a task of it is remembered, and one without
// gets the lowest that is free.
func (w *world) places() map[uint32]place {
	places := map[uint32]place{}
	switch {
	case !w.on():
	case spec.IsGlobal(w.service.GetSpec()):
		w.placeGlobally(places)
	default:
		for n := uint32(1); n <= w.service.GetSpec().GetReplicas(); n++ {
			places[n] = place{}
		}
	}
	return places
}

func (w *world) placeGlobally(places map[uint32]place) {
	taken, live := map[uint32]bool{}, map[uint32]bool{}
	numberOf := map[string]uint32{}
	for _, t := range w.tasks {
		taken[t.slot] = true
		live[t.slot] = live[t.slot] || !t.over()
		if was, known := numberOf[t.node]; !known || t.slot < was {
			numberOf[t.node] = t.slot
		}
	}
	free := uint32(1)
	for _, n := range w.nodes {
		number, known := numberOf[n.id]
		switch {
		case n.down && !live[number]:
			continue // when it comes back
		case !known:
			for taken[free] {
				free++
			}
			number, taken[free] = free, true
		}
		places[number] = place{n.id, n.down}
	}
}

// served lists the nodes that a global service has tasks on, in order.
func served(tx *store.ReadTx, s *warrenv1.ServiceSpec) (nodes []node, err error) {
	constraints, err := spec.ParseConstraints(s.GetConstraints())
	if err != nil {
		return nil, err
	}
	for key, row := range tx.Nodes().List() {
		if !spec.Serves(row, constraints) {
			continue
		}
		status, err := tx.NodeStatus().Peek(key.ID())
		if unlessNotFound(err) != nil {
			return nil, err
		}
		nodes = append(nodes, node{key.ID(), status.GetState() != warrenv1.NodeState_NODE_STATE_READY})
	}
	return nodes, nil
}
