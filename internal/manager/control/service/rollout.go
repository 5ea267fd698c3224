package service

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// rollout is the part of a plan that replaces tasks of an older spec by such of
// the present one, some at a time.
//
// A new task counts as a success when it has been up for the monitor's time;
// with start-first its predecessor is stopped then, so that a spec that does
// not run never takes away one that does.
type rollout struct {
	w *world
	p *plan
	// update is how far it is, as it will be after the plan.
	update            *warrenv1.ServiceUpdate
	monitor, deadline time.Duration

	outdated   []replacement
	inProgress int
	failed     int
	// last is when the last of the new tasks became a success.
	last    time.Time
	trouble string
}

// replacement is a task of an older spec and the seat of its successor.
type replacement struct {
	old  task
	seat seat
}

func newRollout(w *world, p *plan) *rollout {
	r := &rollout{w: w, p: p, update: proto.CloneOf(w.update), monitor: spec.Monitor(w.service.GetSpec()), deadline: spec.Deadline(w.service.GetSpec())}
	if r.update == nil {
		r.update = &warrenv1.ServiceUpdate{}
	}
	if w.service.GetRollout() != r.update.GetRollout() && w.service.GetDeletedAt() == nil {
		r.begin()
	}
	return r
}

// begin starts to keep account of an update that was asked for. A failure leads
// back to the last spec that was no failure itself.
func (r *rollout) begin() {
	from := r.w.from
	if r.unfinished() && r.update.GetFromRevision() != 0 {
		from = r.update.GetFromRevision()
	}
	r.update = &warrenv1.ServiceUpdate{
		Rollout: r.w.service.GetRollout(), State: warrenv1.UpdateState_UPDATE_STATE_UPDATING,
		StartedAt: timestamppb.New(r.w.now), FromRevision: from,
	}
	r.p.update = r.update
}

func (r *rollout) unfinished() bool {
	switch r.update.GetState() {
	case warrenv1.UpdateState_UPDATE_STATE_UNSPECIFIED, warrenv1.UpdateState_UPDATE_STATE_COMPLETED, warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK:
		return false
	}
	return true
}

// going tells whether failures of tasks are the update's.
func (r *rollout) going() bool {
	s := r.update.GetState()
	return s == warrenv1.UpdateState_UPDATE_STATE_UPDATING || s == warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK
}

func (r *rollout) paused() bool { return r.unfinished() && !r.going() }

// action is what a failure leads to. Nobody stands by when a secret's new
// version is rolled out.
func (r *rollout) action() warrenv1.FailureAction {
	if r.w.service.GetRollout() != 0 && r.w.service.GetSecretRollout() == r.w.service.GetRollout() {
		return warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK
	}
	return r.w.service.GetSpec().GetUpdate().GetFailureAction()
}

// own tells whether a task was made by this rollout.
func (r *rollout) own(t task) bool { return !t.created.Before(r.update.GetStartedAt().AsTime()) }

// current tells whether a task is as the service wants it. One that had failed
// before a rollout began gets a successor by it.
func (r *rollout) current(t task) bool {
	return t.wanted() && t.specVersion == r.w.service.GetSpecVersion() &&
		(!r.going() || r.own(t) || spec.Up(t.status) || t.trouble() == "")
}

// slot takes one slot that should have a task into the plan.
func (r *rollout) slot(s slot) {
	var current *task
	var old []task
	live := s.live()
	for _, t := range slices.Backward(live) {
		switch {
		case current == nil && r.current(t):
			current = &t
		case t.wanted():
			old = append(old, t)
		}
	}
	switch {
	case current != nil:
		r.seated(*current, old)
	case len(old) > 0:
		// Of several that a start-first update was replacing, the best remains.
		slices.SortFunc(old, func(a, b task) int {
			return cmp.Or(upFirst(a, b), cmp.Compare(a.incarnation, b.incarnation))
		})
		r.p.dismiss(old[1:], old[0].id)
		r.outdated = append(r.outdated, replacement{old[0], s.next()})
	case len(live) > 0:
		r.inProgress++ // the last one is stopping
	default:
		r.vacant(s)
	}
}

// seated looks how the present task of a slot does.
func (r *rollout) seated(t task, old []task) {
	up := spec.UpFor(t.status, r.w.now)
	trouble := t.trouble()
	settled := spec.Up(t.status) && up >= r.monitor || spec.Accomplished(t.status)
	if trouble == "" && r.going() && r.own(t) && !settled && !spec.Up(t.status) {
		trouble = r.late(t)
	}
	failed := r.going() && r.own(t) && !settled && trouble != ""
	switch {
	case settled:
		if r.own(t) {
			r.last = latest(r.last, r.w.now.Add(r.monitor-up))
		}
	case failed && r.action() == warrenv1.FailureAction_FAILURE_ACTION_CONTINUE:
		r.failed++
		settled = true
	default:
		r.inProgress++
		if spec.Up(t.status) {
			r.p.wakeAt(r.w.now.Add(r.monitor - up))
		}
		if failed {
			r.trouble = cmp.Or(r.trouble, trouble)
		}
	}
	if settled || r.w.order != warrenv1.UpdateOrder_UPDATE_ORDER_START_FIRST {
		r.p.dismiss(old, t.id)
	}
}

// late says what a new task waits for when its time to come up is over; "" when
// it is not.
func (r *rollout) late(t task) string {
	due := t.created.Add(r.deadline)
	if r.w.now.Before(due) {
		r.p.wakeAt(due)
		return ""
	}
	state := cmp.Or(t.status.GetMessage(), spec.TaskStateName(t.status.GetState()))
	return fmt.Sprintf("%s: not up within %s: %s", t.name, r.deadline, state)
}

// vacant fills a slot in which nothing runs, which is never too early.
func (r *rollout) vacant(s slot) {
	r.inProgress++
	r.p.create = append(r.p.create, s.next())
	if n := len(s.tasks); n > 0 && r.going() {
		if last := s.tasks[n-1]; r.own(last) && last.specVersion == r.w.service.GetSpecVersion() {
			r.trouble = cmp.Or(r.trouble, last.trouble())
		}
	}
}

// conclude decides how it goes on after all slots were looked at.
func (r *rollout) conclude() {
	switch {
	case r.w.service.GetDeletedAt() != nil:
	case r.going() && r.trouble != "" && r.action() != warrenv1.FailureAction_FAILURE_ACTION_CONTINUE:
		r.fail()
	case r.going() && (len(r.outdated) == 0 && r.inProgress == 0 || !r.w.on()):
		r.finish()
	case !r.paused():
		r.replace()
	}
}

// replace begins with as many of the outdated slots as may be replaced at once;
// those that do no work anyway come first.
func (r *rollout) replace() {
	if len(r.outdated) == 0 {
		return
	}
	if due := r.last.Add(r.w.service.GetSpec().GetUpdate().GetDelay().AsDuration()); r.w.now.Before(due) && !r.last.IsZero() {
		r.p.wakeAt(due)
		return
	}
	slices.SortStableFunc(r.outdated, func(a, b replacement) int { return upFirst(b.old, a.old) })
	more := spec.Parallelism(r.w.service.GetSpec()) - r.inProgress
	for _, next := range r.outdated[:max(0, min(len(r.outdated), more))] {
		if r.w.order != warrenv1.UpdateOrder_UPDATE_ORDER_START_FIRST {
			r.p.dismiss([]task{next.old}, "")
		} else {
			r.p.create = append(r.p.create, next.seat)
		}
	}
}

// fail ends the rollout with what its failure action says.
func (r *rollout) fail() {
	r.update.Message = r.trouble
	switch {
	case r.update.GetState() == warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK:
		r.update.State = warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED
	case r.action() == warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK && r.update.GetFromRevision() != 0:
		r.p.rollback = true
		r.update.State = warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK
	default:
		r.update.State = warrenv1.UpdateState_UPDATE_STATE_PAUSED
	}
	r.p.update = r.update
}

func (r *rollout) finish() {
	if r.update.GetState() == warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK {
		r.update.State = warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK
	} else {
		r.update.State = warrenv1.UpdateState_UPDATE_STATE_COMPLETED
		if r.failed > 0 {
			r.update.Message = fmt.Sprintf("%d of %d tasks failed", r.failed, len(r.w.places()))
		}
	}
	r.update.FinishedAt = timestamppb.New(r.w.now)
	r.p.update = r.update
}

// upFirst orders tasks that are up before others.
func upFirst(a, b task) int {
	switch x, y := spec.Up(a.status), spec.Up(b.status); {
	case x == y:
		return 0
	case x:
		return -1
	default:
		return 1
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
