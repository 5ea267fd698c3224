package schedule

import (
	"fmt"
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// filter is one hard rule. Filters run in order, and the first that turns a
// node down is the one that is counted, so a person reads the most basic
// reason of each node.
type filter interface {
	// accepts tells whether the node can take the task; if not, the volume
	// that stands against it, for a filter that looks at volumes.
	accepts(p *plan, t *Task, n *node) (culprit *Volume, ok bool)
	// explain says why nodes were turned down, in words that follow their
	// number.
	explain(p *plan, t *Task, culprit *Volume) string
}

var filters = []filter{own{}, ready{}, drained{}, constraints{}, volumes{}, resources{}}

// ready keeps tasks from nodes that nobody hears of.
type ready struct{}

func (ready) accepts(_ *plan, _ *Task, n *node) (*Volume, bool) { return nil, n.Ready }

func (ready) explain(*plan, *Task, *Volume) string { return "not ready" }

// volumes keeps a task where its volumes are: local data is where it is, and
// an access mode of "node" follows its holders. Whoever ran a task elsewhere
// would give it an empty volume, or a second writer.
type volumes struct{}

func (volumes) accepts(p *plan, t *Task, n *node) (*Volume, bool) {
	for _, ref := range t.Volumes {
		v := p.volumes[ref.ID]
		if at := v.at(); at != "" && at != n.ID {
			return v, false
		}
	}
	return nil, true
}

func (volumes) explain(p *plan, _ *Task, v *Volume) string {
	return fmt.Sprintf("without volume %s, which is on %s", v.Name, p.nodeName(v.at()))
}

// at is the only node on which the volume can be used now; empty when any will
// do.
func (v *Volume) at() string {
	switch {
	case v.Local:
		return v.NodeID
	case v.Access == warrenv1.AccessMode_ACCESS_MODE_NODE:
		return v.HeldOn
	default:
		return ""
	}
}

func (p *plan) fits(t *Task, n *node) bool {
	_, ok := p.firstRejection(t, n)
	return ok
}

// rejection is what turned a node down.
type rejection struct {
	filter  int
	culprit *Volume
}

func (p *plan) firstRejection(t *Task, n *node) (r rejection, ok bool) {
	for i, f := range filters {
		if culprit, ok := f.accepts(p, t, n); !ok {
			return rejection{i, culprit}, false
		}
	}
	return rejection{}, true
}

// blocked says why no node at all could take the task, whatever the nodes are
// like; empty when it is a question of nodes.
func (p *plan) blocked(t *Task) string {
	for _, ref := range t.Volumes {
		switch v := p.volumes[ref.ID]; {
		case v == nil:
			return fmt.Sprintf("volume %s no longer exists", ref.Name)
		case v.Deleting:
			return fmt.Sprintf("volume %s is being deleted", v.Name)
		case v.Holder != "":
			return fmt.Sprintf("volume %s is exclusive and held by %s", v.Name, v.Holder)
		case ref.Exclusive && v.HeldOn != "":
			return fmt.Sprintf("volume %s is wanted exclusively and held by others", v.Name)
		}
	}
	return ""
}

// boundTo is the only node that can take the task; empty when there is choice.
func (p *plan) boundTo(t *Task) string {
	if t.Only != "" {
		return t.Only
	}
	for _, ref := range t.Volumes {
		if v := p.volumes[ref.ID]; v != nil && v.at() != "" {
			return v.at()
		}
	}
	return ""
}

func (p *plan) nodeName(id string) string {
	if n := p.nodeByID[id]; n != nil {
		return n.Name
	}
	return id
}

// explain counts why each node turned the task down.
func (p *plan) explain(t *Task) string {
	if len(p.nodes) == 0 {
		return "the cluster has no worker"
	}
	if t.Only != "" {
		return p.explainOwn(t)
	}
	var key strings.Builder
	fmt.Fprintf(&key, "%v %q ", t.Reserve, constraintsText(t.Constraints))
	for _, ref := range t.Volumes {
		if at := p.volumes[ref.ID].at(); at != "" {
			fmt.Fprintf(&key, "%s@%s ", ref.ID, at)
		}
	}
	reason, known := p.reasons[key.String()]
	if !known {
		reason = p.count(t)
		p.reasons[key.String()] = reason
	}
	return reason
}

func (p *plan) count(t *Task) string {
	counts := map[rejection]int{}
	var order []rejection
	for _, n := range p.nodes {
		if r, ok := p.firstRejection(t, n); !ok {
			if counts[r] == 0 {
				order = append(order, r)
			}
			counts[r]++
		}
	}
	slices.SortStableFunc(order, func(a, b rejection) int { return a.filter - b.filter })
	parts := make([]string, len(order))
	for i, r := range order {
		parts[i] = fmt.Sprintf("%d %s", counts[r], filters[r.filter].explain(p, t, r.culprit))
	}
	noun := "nodes fit"
	if len(p.nodes) == 1 {
		noun = "node fits"
	}
	return fmt.Sprintf("0 of %d %s: %s", len(p.nodes), noun, strings.Join(parts, ", "))
}
