package service

import (
	"crypto/rand"
	"errors"
	"slices"

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

// look reads a service and makes its plan; nil and an empty one if there is no
// such service. Tasks are not guarded one by one: what apply touches is.
func look(tx *store.ReadTx, key store.Key) (*warrenv1.Service, plan, error) {
	service, err := tx.Services().Get(key.Parts()...)
	if err != nil {
		return nil, plan{}, unlessNotFound(err)
	}
	var tasks []task
	for key, t := range tx.Tasks().OfService(key.Namespace(), key.ID()) {
		status, err := tx.TaskStatus().Peek(key.Parts()...)
		if unlessNotFound(err) != nil {
			return nil, plan{}, err
		}
		tasks = append(tasks, task{
			id: key.ID(), slot: t.GetSlot(), incarnation: t.GetIncarnation(), specVersion: t.GetSpecVersion(),
			desired: t.GetDesired(), state: status.GetState(),
			held: service.GetDeletedAt() != nil && holdsVolumes(tx, key),
		})
	}
	return service, makePlan(service, tasks), nil
}

func holdsVolumes(tx *store.ReadTx, task store.Key) bool {
	for range tx.Attachments().OfTask(task.Namespace(), task.ID()) {
		return true
	}
	return false
}

func apply(tx *store.Tx, service *warrenv1.Service, p plan) error {
	switch {
	// First and by itself, because stopping is what frees a full disk.
	case len(p.stop) > 0:
		tx.Reclaim()
		return upTo(maxBytes, p.stop, func(id string) (*warrenv1.Task, error) {
			return stop(tx, service.GetMeta().GetNamespace(), id)
		})
	case p.remove:
		tx.Reclaim()
		return remove(tx, service)
	default:
		return upTo(maxBytes, p.create, func(s seat) (*warrenv1.Task, error) { return create(tx, service, s) })
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
func stop(tx *store.Tx, namespace, id string) (*warrenv1.Task, error) {
	task, err := tx.Tasks().Get(namespace, id)
	if err != nil {
		return nil, unlessNotFound(err)
	}
	task.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
	if err := tx.Tasks().Put(task); err != nil || task.GetNodeId() != "" {
		return task, err
	}
	return task, tx.TaskStatus().Put(&warrenv1.TaskStatus{
		TaskId: id, State: warrenv1.TaskState_TASK_STATE_STOPPED,
		Message: "stopped before it was placed", StateSince: timestamppb.Now(),
	}, namespace, id)
}

// create makes the next task of a slot. It depends on who has the slot's name
// now: of two that make a next one, only one succeeds.
func create(tx *store.Tx, service *warrenv1.Service, s seat) (*warrenv1.Task, error) {
	namespace, name := service.GetMeta().GetNamespace(), service.GetMeta().GetName()
	last, err := tx.Tasks().ByName(namespace, spec.TaskName(name, s.slot))
	if unlessNotFound(err) != nil {
		return nil, err
	}
	if last.GetServiceId() == service.GetMeta().GetId() && last.GetIncarnation() >= s.incarnation {
		return nil, nil
	}
	now := timestamppb.Now()
	task := &warrenv1.Task{
		Meta: &warrenv1.Meta{
			Id: spec.TaskID(name, s.slot, random()), Name: spec.TaskName(name, s.slot), Namespace: namespace,
			Labels: service.GetMeta().GetLabels(), CreatedAt: now, UpdatedAt: now,
		},
		ServiceId: service.GetMeta().GetId(), Service: name,
		Slot: s.slot, Incarnation: s.incarnation, SpecVersion: service.GetSpecVersion(),
		Container: service.GetSpec().GetContainer(),
		Desired:   warrenv1.DesiredState_DESIRED_STATE_RUNNING,
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
	for _, v := range service.GetSpec().GetContainer().GetVolumes() {
		volume, err := tx.Volumes().ByName(meta.GetNamespace(), v.GetVolume())
		if err := forget(tx, volume.GetMeta(), meta.GetId(), err); err != nil {
			return err
		}
	}
	for _, s := range service.GetSpec().GetContainer().GetSecrets() {
		secret, err := tx.Secrets().ByName(meta.GetNamespace(), s.GetSecret())
		if err := forget(tx, secret.GetMeta(), meta.GetId(), err); err != nil {
			return err
		}
	}
	if err := freePorts(tx, service); err != nil {
		return err
	}
	return tx.Services().Delete(service)
}

// freePorts lets others publish the ports that were the service's.
func freePorts(tx *store.Tx, service *warrenv1.Service) error {
	for _, p := range service.GetSpec().GetContainer().GetPorts() {
		key := store.PortKey(p.GetProtocol(), p.GetHostPort())
		owner, err := tx.Ports().Get(key...)
		if unlessNotFound(err) != nil {
			return err
		}
		if owner.GetServiceId() != service.GetMeta().GetId() {
			continue
		}
		if err := tx.Ports().Delete(key...); err != nil {
			return err
		}
	}
	return nil
}

// forget takes a service out of the uses of a volume or secret, if that was
// found.
func forget(tx *store.Tx, used *warrenv1.Meta, serviceID string, found error) error {
	if found != nil {
		return unlessNotFound(found)
	}
	uses, err := tx.Uses().Get(used.GetNamespace(), used.GetId())
	if err != nil {
		return unlessNotFound(err)
	}
	uses.ServiceIds = slices.DeleteFunc(uses.GetServiceIds(), func(id string) bool { return id == serviceID })
	if len(uses.ServiceIds) == 0 {
		return tx.Uses().Delete(used.GetNamespace(), used.GetId())
	}
	return tx.Uses().Put(uses, used.GetNamespace(), used.GetId())
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
