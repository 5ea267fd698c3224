package schedule

import (
	"strings"

	"github.com/cuemby/warren/internal/spec"
)

// usable tells whether a node is given anything at all.
func (n *Node) usable() bool { return n.Ready && !n.Drained }

// own keeps a task that belongs to one node there.
type own struct{}

func (own) accepts(_ *plan, t *Task, n *node) (*Volume, bool) {
	return nil, t.Only == "" || t.Only == n.ID
}

func (own) explain(*plan, *Task, *Volume) string { return "that it is not for" }

// explainOwn says why a task's only node does not take it; the others do not
// matter.
func (p *plan) explainOwn(t *Task) string {
	n := p.nodeByID[t.Only]
	if n == nil {
		return "the node that it is for is gone"
	}
	r, _ := p.firstRejection(t, n)
	return n.Name + " is the only node for it, and is " + filters[r.filter].explain(p, t, r.culprit)
}

// drained keeps tasks from nodes that a person took out of use.
type drained struct{}

func (drained) accepts(_ *plan, _ *Task, n *node) (*Volume, bool) { return nil, !n.Drained }

func (drained) explain(*plan, *Task, *Volume) string { return "drained" }

// constraints keep a task to the nodes that its service asks for.
type constraints struct{}

func (constraints) accepts(_ *plan, t *Task, n *node) (*Volume, bool) {
	for _, c := range t.Constraints {
		if !c.Holds(n.ID, n.Name, n.Labels) {
			return nil, false
		}
	}
	return nil, true
}

func (constraints) explain(_ *plan, t *Task, _ *Volume) string {
	return "not satisfying " + constraintsText(t.Constraints)
}

func constraintsText(list []spec.Constraint) string {
	texts := make([]string, len(list))
	for i, c := range list {
		texts[i] = c.String()
	}
	return strings.Join(texts, " and ")
}
