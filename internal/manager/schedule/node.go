package schedule

import (
	"strings"

	"github.com/cuemby/warren/internal/spec"
)

// usable tells whether a node is given anything at all.
func (n *Node) usable() bool { return n.Ready && !n.Drained }

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
