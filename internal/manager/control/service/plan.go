package service

import (
	"cmp"
	"maps"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// task is what the plan must know of one task.
type task struct {
	id   string
	name string
	slot uint32
	// node is the only one that it may be on; empty for a replica.
	node        string
	incarnation uint64
	specVersion uint64
	desired     warrenv1.DesiredState
	created     time.Time
	status      *warrenv1.TaskStatus
	// held is set while it has an attachment: its volumes are not free yet.
	held bool
	// evicted is set when its node is drained.
	evicted bool
	// away is set when its node is down and none of its volumes is there: it
	// counts as over, and is stopped should the node come back.
	away bool
	// stale is set when there are newer versions of secrets that it follows.
	stale bool
}

func (t task) over() bool   { return spec.Terminal(t.status.GetState()) || t.away }
func (t task) wanted() bool { return t.desired == warrenv1.DesiredState_DESIRED_STATE_RUNNING }

// world is all that a plan depends on.
type world struct {
	service *warrenv1.Service
	// update is how far the last update is; nil before the first.
	update *warrenv1.ServiceUpdate
	// from is the newest earlier revision with another container; 0 if none.
	from uint64
	// order in which tasks are replaced.
	order warrenv1.UpdateOrder
	// nodes are those that a global service has tasks on; nil for a replicated
	// one.
	nodes []node
	// tasks are all there are, past ones included.
	tasks []task
	// newer are versions of secrets for which the tasks are to be replaced.
	newer []newer
	now   time.Time
}

// node is one of a global service's.
type node struct {
	id string
	// down nodes keep the tasks that they have, and are given no others.
	down bool
}

// on tells whether the service is to have tasks.
func (w *world) on() bool { return !w.service.GetStopped() && w.service.GetDeletedAt() == nil }

// plan is what has to change for a service to be as its row says.
type plan struct {
	// create lists slots that need a new task, with its incarnation.
	create []seat
	// stop lists tasks whose desired state becomes STOPPED.
	stop []leaver
	// remove is set once nothing is left of a service that was deleted.
	remove bool
	// update is the row to write; nil when that stays as it is.
	update *warrenv1.ServiceUpdate
	// rollback is set when the service is to have its earlier spec again.
	rollback bool
	// renew lists tasks that are to see newer secrets.
	renew []string
	// follow is set when the service is to have the newest versions of its
	// secrets, and its tasks to be replaced for that.
	follow bool
	// wake is when the plan will be another one although nothing else changed;
	// zero for never.
	wake time.Time
}

// seat is one place of a service to be filled.
type seat struct {
	slot        uint32
	incarnation uint64
	node        string
}

// leaver is a task that has to go, and the one that keeps its slot, if any.
type leaver struct{ id, heir string }

func (p *plan) empty() bool {
	return len(p.create) == 0 && len(p.stop) == 0 && !p.remove && p.update == nil && !p.rollback &&
		len(p.renew) == 0 && !p.follow
}

// wakeAt has the plan looked at again at that time.
func (p *plan) wakeAt(t time.Time) {
	if p.wake.IsZero() || t.Before(p.wake) {
		p.wake = t
	}
}

// makePlan compares a service with all its tasks.
//
// A slot has one task at a time: the next one is made when the one before is
// over, so that two writers never meet on a volume. Only an update whose order
// is start-first lets the one before run until the next one is up.
func makePlan(w *world) *plan {
	p := &plan{}
	p.evict(w.tasks)
	for _, t := range w.tasks {
		if t.stale && t.wanted() && !t.over() {
			p.renew = append(p.renew, t.id)
		}
	}
	r := newRollout(w, p)
	for _, s := range w.slots() {
		switch {
		case !s.wanted:
			p.dismiss(s.live(), "")
		case s.down:
			// Nothing can be done there, nor waited for.
		default:
			r.slot(s)
		}
	}
	r.conclude()
	p.follow = len(w.newer) > 0 && !r.unfinished() && p.update == nil && w.service.GetDeletedAt() == nil
	p.remove = w.service.GetDeletedAt() != nil && !slices.ContainsFunc(w.tasks, func(t task) bool { return !t.over() || t.held })
	slices.SortFunc(p.stop, func(a, b leaver) int { return cmp.Compare(a.id, b.id) })
	slices.SortFunc(p.create, func(a, b seat) int { return cmp.Compare(a.slot, b.slot) })
	return p
}

// evict stops the tasks that their nodes are to lose, or have lost.
func (p *plan) evict(tasks []task) {
	for i, t := range tasks {
		if t.wanted() && (t.evicted || t.away) && !spec.Terminal(t.status.GetState()) {
			p.stop = append(p.stop, leaver{t.id, ""})
			tasks[i].desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
		}
	}
}

// dismiss stops those of the tasks that are wanted.
func (p *plan) dismiss(tasks []task, heir string) {
	for _, t := range tasks {
		if t.wanted() {
			p.stop = append(p.stop, leaver{t.id, heir})
		}
	}
}

// slot is one of a service's places with all the tasks that it has had, oldest
// first.
type slot struct {
	number uint32
	place
	// wanted slots should have a task.
	wanted bool
	tasks  []task
}

// place is where a slot's tasks may be: anywhere, or on one node.
type place struct {
	node string
	down bool
}

// slots lists those that should have tasks, and those that have.
func (w *world) slots() []slot {
	byNumber := map[uint32][]task{}
	places := w.places()
	numbers := slices.AppendSeq(make([]uint32, 0, len(w.tasks)), maps.Keys(places))
	for _, t := range w.tasks {
		byNumber[t.slot] = append(byNumber[t.slot], t)
		numbers = append(numbers, t.slot)
	}
	slices.Sort(numbers)
	var all []slot
	for _, n := range slices.Compact(numbers) {
		slices.SortFunc(byNumber[n], func(a, b task) int { return cmp.Compare(a.incarnation, b.incarnation) })
		at, wanted := places[n]
		all = append(all, slot{n, at, wanted, byNumber[n]})
	}
	return all
}

// live are the slot's tasks that are not over.
func (s slot) live() []task {
	return slices.DeleteFunc(slices.Clone(s.tasks), task.over)
}

// next is the seat for the slot's next task.
func (s slot) next() seat {
	if len(s.tasks) == 0 {
		return seat{s.number, 1, s.node}
	}
	return seat{s.number, s.tasks[len(s.tasks)-1].incarnation + 1, s.node}
}

// trouble says why a task failed; "" if it did not.
func (t task) trouble() string {
	why := spec.Trouble(t.status)
	if t.wanted() && t.status.GetState() == warrenv1.TaskState_TASK_STATE_STOPPED {
		why = cmp.Or(t.status.GetMessage(), t.status.GetExitReason(), "it stopped")
	}
	if why == "" {
		return ""
	}
	return t.name + ": " + why
}
