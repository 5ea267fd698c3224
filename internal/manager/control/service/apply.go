package service

import (
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// One transaction writes about maxBytes of tasks, or removes maxRemovals; the
// change that it makes brings the service up again for the rest.
const (
	maxBytes    = 256 << 10
	maxRemovals = 400
)

// look reads all that the plan of a service depends on; nil if there is no such
// service. Tasks are not guarded one by one: what apply touches is.
func look(tx *store.ReadTx, key store.Key, now time.Time) (*world, error) {
	service, err := tx.Services().Get(key.Parts()...)
	if err != nil {
		return nil, unlessNotFound(err)
	}
	w := &world{service: service, now: now}
	if spec.IsGlobal(service.GetSpec()) {
		if w.nodes, err = served(tx, service.GetSpec()); err != nil {
			return nil, err
		}
	}
	if w.update, err = tx.ServiceUpdates().Get(key.Parts()...); unlessNotFound(err) != nil {
		return nil, err
	}
	for key, t := range tx.Tasks().OfService(key.Namespace(), key.ID()) {
		status, err := tx.TaskStatus().Peek(key.Parts()...)
		if unlessNotFound(err) != nil {
			return nil, err
		}
		evicted, away, err := leaves(tx, t)
		if err != nil {
			return nil, err
		}
		_, stale, err := renewed(tx, t)
		if err != nil {
			return nil, err
		}
		w.tasks = append(w.tasks, task{
			stale: stale, evicted: evicted, away: away,
			id: key.ID(), name: t.GetMeta().GetName(), created: t.GetMeta().GetCreatedAt().AsTime(),
			slot: t.GetSlot(), node: t.GetOnlyNodeId(), incarnation: t.GetIncarnation(), specVersion: t.GetSpecVersion(),
			desired: t.GetDesired(), status: status,
			held: service.GetDeletedAt() != nil && holdsVolumes(tx, key),
		})
	}
	if w.newer, err = lookForNewer(tx, service); err != nil || service.GetRollout() == 0 {
		return w, err
	}
	w.from = before(tx, service)
	w.order = spec.UpdateOrder(service.GetSpec(), func(name string) bool {
		volume, err := tx.Volumes().ByName(key.Namespace(), name)
		return err == nil && volume.GetSpec().GetAccess() == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE
	})
	return w, nil
}

func holdsVolumes(tx *store.ReadTx, task store.Key) bool {
	for range tx.Attachments().OfTask(task.Namespace(), task.ID()) {
		return true
	}
	return false
}

// apply does what a plan says; of much to do only so much as one transaction
// takes.
func apply(tx *store.Tx, w *world, p *plan) error {
	if err := account(tx, w, p); err != nil || p.rollback {
		return err
	}
	switch {
	// First and by itself, because stopping is what frees a full disk.
	case len(p.stop) > 0:
		tx.Reclaim()
		return upTo(maxBytes, p.stop, func(l leaver) (*warrenv1.Task, error) {
			return stop(tx, w.service.GetMeta().GetNamespace(), l)
		})
	case p.remove:
		tx.Reclaim()
		return remove(tx, w.service)
	case p.follow:
		return follow(tx, w)
	case len(p.renew) > 0:
		return upTo(maxBytes, p.renew, func(id string) (*warrenv1.Task, error) {
			return renew(tx, w.service.GetMeta().GetNamespace(), id)
		})
	default:
		return upTo(maxBytes, p.create, func(s seat) (*warrenv1.Task, error) { return create(tx, w, s) })
	}
}

// upTo writes a task for each item until that many bytes are reached.
func upTo[T any](limit int, items []T, write func(T) (*warrenv1.Task, error)) error {
	for _, item := range items {
		task, err := write(item)
		if err != nil {
			return err
		}
		if limit -= proto.Size(task); limit < 0 {
			return nil
		}
	}
	return nil
}

// stop asks for a task's end. One that was never placed ends here and now,
// since no node will ever say so.
func stop(tx *store.Tx, namespace string, l leaver) (*warrenv1.Task, error) {
	task, err := tx.Tasks().Get(namespace, l.id)
	if err != nil {
		return nil, unlessNotFound(err)
	}
	if err := bequeath(tx, task, l.heir); err != nil {
		return nil, err
	}
	task.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
	if err := tx.Tasks().Put(task); err != nil || task.GetNodeId() != "" {
		return task, err
	}
	return task, tx.TaskStatus().Put(&warrenv1.TaskStatus{
		TaskId: l.id, State: warrenv1.TaskState_TASK_STATE_STOPPED,
		Message: "stopped before it was placed", StateSince: timestamppb.Now(),
	}, namespace, l.id)
}

// bequeath gives the slot's name to the task that stays in it, if it is the
// leaving one's.
func bequeath(tx *store.Tx, leaving *warrenv1.Task, heir string) error {
	if heir == "" {
		return nil
	}
	m := leaving.GetMeta()
	named, err := tx.Tasks().ByName(m.GetNamespace(), m.GetName())
	if err != nil || named.GetMeta().GetId() != m.GetId() {
		return unlessNotFound(err)
	}
	task, err := tx.Tasks().Get(m.GetNamespace(), heir)
	if err != nil {
		return unlessNotFound(err)
	}
	return tx.Tasks().TakeName(task)
}

// create makes the next task of a slot. It depends on who has the slot's name
// now: of two that make a next one, only one succeeds.
func create(tx *store.Tx, w *world, s seat) (*warrenv1.Task, error) {
	service := w.service
	namespace, name := service.GetMeta().GetNamespace(), service.GetMeta().GetName()
	last, err := tx.Tasks().ByName(namespace, spec.TaskName(name, s.slot))
	if unlessNotFound(err) != nil {
		return nil, err
	}
	if last.GetServiceId() == service.GetMeta().GetId() && last.GetIncarnation() >= s.incarnation {
		return nil, nil
	}
	now := timestamppb.New(w.now)
	task := &warrenv1.Task{
		Meta: &warrenv1.Meta{
			Id: spec.TaskID(name, s.slot, random()), Name: spec.TaskName(name, s.slot), Namespace: namespace,
			Labels: service.GetMeta().GetLabels(), CreatedAt: now, UpdatedAt: now,
		},
		ServiceId: service.GetMeta().GetId(), Service: name,
		Slot: s.slot, Incarnation: s.incarnation, SpecVersion: service.GetSpecVersion(),
		Container: service.GetSpec().GetContainer(), Constraints: service.GetSpec().GetConstraints(),
		OnlyNodeId: s.node, Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING,
	}
	if err := pin(&tx.ReadTx, task); err != nil {
		return nil, err
	}
	if err := tx.Tasks().Create(task); err != nil {
		return nil, err
	}
	return task, tx.TaskStatus().Put(&warrenv1.TaskStatus{
		TaskId: task.Meta.Id, State: warrenv1.TaskState_TASK_STATE_PENDING, StateSince: now,
	}, namespace, task.Meta.Id)
}

func random() (r spec.Random) {
	_, _ = rand.Read(r[:]) // never fails: it would end the program
	return r
}

// remove deletes what is left of a service: its tasks, as many as one
// transaction takes, and when none remain, its uses and itself.
func remove(tx *store.Tx, service *warrenv1.Service) error {
	meta := service.GetMeta()
	removed := 0
	for key, task := range tx.Tasks().OfService(meta.GetNamespace(), meta.GetId()) {
		if removed == maxRemovals {
			return nil
		}
		if err := tx.Tasks().Delete(task); err != nil {
			return err
		}
		if err := tx.TaskStatus().Delete(key.Parts()...); err != nil {
			return err
		}
		removed++
	}
	for key := range tx.ServiceRevisions().Keys(meta.GetNamespace(), meta.GetId()) {
		if err := tx.ServiceRevisions().Delete(key.Parts()...); err != nil {
			return err
		}
	}
	return errors.Join(
		dropUses(tx, meta, nil),
		freePorts(tx, meta, nil),
		tx.ServiceUpdates().Delete(meta.GetNamespace(), meta.GetId()),
		tx.Services().Delete(service),
		tx.Events().Append(&warrenv1.Event{
			Time: timestamppb.Now(), Kind: spec.KindService, Namespace: meta.GetNamespace(), Name: meta.GetName(), Id: meta.GetId(), Reason: "deleted",
		}),
	)
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
