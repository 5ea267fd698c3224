package service

import (
	"cmp"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// task is what the plan must know of one task.
type task struct {
	id          string
	slot        uint32
	incarnation uint64
	specVersion uint64
	desired     warrenv1.DesiredState
	state       warrenv1.TaskState
	// held is set while it has an attachment: its volumes are not free yet.
	held bool
}

func (t task) over() bool   { return spec.Terminal(t.state) }
func (t task) wanted() bool { return t.desired == warrenv1.DesiredState_DESIRED_STATE_RUNNING }

// plan is what has to change for a service to be as its row says.
type plan struct {
	// create lists slots that need a new task, with its incarnation.
	create []seat
	// stop lists tasks whose desired state becomes STOPPED.
	stop []string
	// remove is set once nothing is left of a service that was deleted.
	remove bool
}

// seat is one place of a service to be filled.
type seat struct {
	slot        uint32
	incarnation uint64
}

func (p plan) empty() bool { return len(p.create) == 0 && len(p.stop) == 0 && !p.remove }

// makePlan compares a service with all its tasks, past ones included.
//
// A slot never has two tasks at once: the next one is made when the one before
// is over, so that two writers never meet on a volume.
func makePlan(s *warrenv1.Service, tasks []task) plan {
	var p plan
	on := !s.GetStopped() && s.GetDeletedAt() == nil
	latest := map[uint32]task{}
	for _, t := range tasks {
		if l, ok := latest[t.slot]; !ok || t.incarnation > l.incarnation {
			latest[t.slot] = t
		}
	}
	busy := map[uint32]bool{}
	for _, t := range tasks {
		keep := on && t.slot <= s.GetSpec().GetReplicas() && !t.over() &&
			t.specVersion == s.GetSpecVersion() && t.incarnation == latest[t.slot].incarnation
		if t.wanted() && !keep {
			p.stop = append(p.stop, t.id)
		}
		busy[t.slot] = busy[t.slot] || !t.over()
	}
	if on {
		for slot := uint32(1); slot <= s.GetSpec().GetReplicas(); slot++ {
			if !busy[slot] {
				p.create = append(p.create, seat{slot, latest[slot].incarnation + 1})
			}
		}
	}
	p.remove = s.GetDeletedAt() != nil && !slices.ContainsFunc(tasks, func(t task) bool { return !t.over() || t.held })
	slices.Sort(p.stop)
	slices.SortFunc(p.create, func(a, b seat) int { return cmp.Compare(a.slot, b.slot) })
	return p
}
