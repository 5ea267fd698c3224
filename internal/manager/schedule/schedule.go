// Package schedule decides which node runs a task and which node keeps a
// volume. It is a pure function from a snapshot of the cluster to decisions
// with reasons: no clock, disk, network or random source, so that the same
// snapshot always gives the same answer and every rule is a property that can
// be tested.
//
// Hard rules are filters (filter.go); each says in words why it turned a node
// down, and what a person reads about a waiting task is the filters' own count.
// Among the nodes that pass, tasks are spread: first over the nodes that run
// fewest of the same service, then over those that run fewest in all.
//
// Nodes are kept in order of their load in ladders (ladder.go), one for each
// kind of demands that tasks have (field.go), so a placement looks at a few
// nodes, not at all of them; only the first task of a kind, and one that fits
// nowhere, cost one look at each.
package schedule

import (
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Snapshot is what is known of the cluster at one moment. Decide keeps no
// reference to it and changes nothing in it.
type Snapshot struct {
	// Nodes are the workers, ready or not.
	Nodes []Node
	// Volumes are all that Tasks name, and those to be placed for themselves.
	Volumes []Volume
	// Tasks are the ones to place, most urgent first.
	Tasks []Task
	// Spread counts, by service and node ID, the tasks that run already. Only
	// the services of Tasks matter.
	Spread map[string]map[string]int
}

// Node is a machine that can run tasks and keep volumes.
type Node struct {
	ID   string
	Name string
	// Ready means that its session is alive.
	Ready bool
	// Tasks and Volumes count what it was given already.
	Tasks   int
	Volumes int
	// Drained means that a person wants nothing on it.
	Drained bool
	Labels  map[string]string
	// Capacity is what the machine has, Reserved what of it is promised to
	// the tasks that it was given already.
	Capacity, Reserved Resources
}

// Volume is a piece of storage that tasks may need.
type Volume struct {
	ID   string
	Name string
	// Local means that the data is on one node: NodeID, or none chosen yet.
	Local  bool
	NodeID string
	Access warrenv1.AccessMode
	// HeldOn is a node on which tasks hold it now; empty when nobody does.
	HeldOn string
	// Holder names the task that holds it for itself alone.
	Holder string
	// Deleting volumes take no new tasks.
	Deleting bool
}

// Task is a piece of a service that has no node yet.
type Task struct {
	ID        string
	Name      string
	ServiceID string
	// Volumes are IDs and names of what it mounts.
	Volumes []VolumeRef
	// Only is the only node that it may be on; empty when it may be on any.
	Only string
	// Constraints are conditions that its node must satisfy, all of them.
	Constraints []spec.Constraint
	// Reserve is what its node must have to spare.
	Reserve Resources
}

// VolumeRef names a volume; the name is there for people, in case no volume
// of that ID exists any more.
type VolumeRef struct {
	ID, Name string
	// Exclusive means that the task wants it for itself alone, whatever the
	// volume's access mode lets others do.
	Exclusive bool
}

// Decisions is what shall be done. An object of the snapshot is in exactly one
// of the lists, except for volumes that needed no decision.
type Decisions struct {
	// Tasks that were given a node, in the order of the snapshot's urgency.
	Tasks []Placement
	// Volumes that were given a node, for a task's sake or for their own.
	Volumes []Placement
	// WaitingTasks and WaitingVolumes fit nowhere now.
	WaitingTasks   []Wait
	WaitingVolumes []Wait
}

// Placement gives the task or volume of that ID a node.
type Placement struct{ ID, NodeID string }

// Wait says why the task or volume of that ID was given no node: one line for
// a person.
type Wait struct{ ID, Reason string }

// Decide places every task and every unplaced local volume that can be placed.
// Tasks whose volumes already have a node go first, since the others have more
// choice; volumes that no task needed go last.
func Decide(s Snapshot) Decisions {
	p := newPlan(s)
	var free []*Task
	for i := range s.Tasks {
		if t := &s.Tasks[i]; p.boundTo(t) != "" {
			p.placeTask(t)
		} else {
			free = append(free, t)
		}
	}
	for _, t := range free {
		p.placeTask(t)
	}
	for _, v := range p.volumeOrder {
		if v.Local && v.NodeID == "" && !v.Deleting {
			p.placeVolumeAlone(v)
		}
	}
	return p.out
}

// plan is a decision in the making: the snapshot, indexed, with what was
// decided so far already in it.
type plan struct {
	nodes       []*node // by ID
	nodeByID    map[string]*node
	volumes     map[string]*Volume
	volumeOrder []*Volume
	// running counts, by service and node, the tasks of the services at hand.
	running map[string]map[int]int
	fields  map[demands]*field
	// byVolumes has the usable nodes by how many volumes they have.
	byVolumes *ladder
	// Why a task with these requirements fits nowhere: many wait for the same.
	reasons map[string]string
	out     Decisions
}

// node is a Node with its places in the ladders.
type node struct {
	Node
	index int
}

func newPlan(s Snapshot) *plan {
	p := &plan{
		nodeByID: make(map[string]*node, len(s.Nodes)),
		volumes:  make(map[string]*Volume, len(s.Volumes)),
		running:  map[string]map[int]int{},
		fields:   map[demands]*field{},
		reasons:  map[string]string{},
	}
	for _, n := range s.Nodes {
		p.nodes = append(p.nodes, &node{Node: n})
	}
	slices.SortFunc(p.nodes, func(a, b *node) int { return strings.Compare(a.ID, b.ID) })
	p.byVolumes = newLadder(len(p.nodes))
	for i, n := range p.nodes {
		n.index = i
		p.nodeByID[n.ID] = n
		if n.usable() {
			p.byVolumes.insert(i, n.Volumes)
		}
	}
	for _, v := range s.Volumes {
		p.volumes[v.ID] = &v
		p.volumeOrder = append(p.volumeOrder, &v)
	}
	slices.SortFunc(p.volumeOrder, func(a, b *Volume) int { return strings.Compare(a.ID, b.ID) })
	for _, t := range s.Tasks {
		if p.running[t.ServiceID] == nil {
			p.running[t.ServiceID] = p.counted(s.Spread[t.ServiceID])
		}
	}
	return p
}

// counted turns counts by node ID into such by index.
func (p *plan) counted(byID map[string]int) map[int]int {
	counts := make(map[int]int, len(byID))
	for id, tasks := range byID {
		if n := p.nodeByID[id]; n != nil {
			counts[n.index] = tasks
		}
	}
	return counts
}

// placeTask gives the task the best node that every filter lets through, or
// writes down why there is none.
func (p *plan) placeTask(t *Task) {
	if reason := p.blocked(t); reason != "" {
		p.out.WaitingTasks = append(p.out.WaitingTasks, Wait{t.ID, reason})
		return
	}
	n := p.choose(t)
	if n == nil {
		p.out.WaitingTasks = append(p.out.WaitingTasks, Wait{t.ID, p.explain(t)})
		return
	}
	p.out.Tasks = append(p.out.Tasks, Placement{t.ID, n.ID})
	before := p.running[t.ServiceID][n.index]
	p.running[t.ServiceID][n.index]++
	n.Tasks++
	n.Reserved = n.Reserved.Plus(t.Reserve)
	for _, f := range p.fields {
		f.placed(t.ServiceID, n, before)
	}
	for _, ref := range t.Volumes {
		v := p.volumes[ref.ID]
		if v.Local && v.NodeID == "" {
			p.giveVolume(v, n)
		}
		v.HeldOn = n.ID
		if ref.Exclusive || v.Access == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE {
			v.Holder = t.Name
		}
	}
}

// choose returns the node for a task, nil when none fits.
func (p *plan) choose(t *Task) *node {
	if id := p.boundTo(t); id != "" {
		if n := p.nodeByID[id]; n != nil && p.fits(t, n) {
			return n
		}
		return nil
	}
	return p.field(t).choose(t)
}

func (p *plan) placeVolumeAlone(v *Volume) {
	for i := range p.byVolumes.ascending() {
		p.giveVolume(v, p.nodes[i])
		return
	}
	p.out.WaitingVolumes = append(p.out.WaitingVolumes, Wait{v.ID, p.explain(&Task{})})
}

func (p *plan) giveVolume(v *Volume, n *node) {
	v.NodeID = n.ID
	n.Volumes++
	p.byVolumes.raise(n.index)
	p.out.Volumes = append(p.out.Volumes, Placement{v.ID, n.ID})
}
