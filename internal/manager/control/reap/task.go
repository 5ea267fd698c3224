package reap

import (
	"cmp"
	"context"
	"errors"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// keepTasks is how many of a slot's tasks are kept, the newest included, so
// that a person sees how the last ones ended.
const keepTasks = 5

func (r *Reconciler) forgetTasks(ctx context.Context, changes store.Changes) error {
	var old []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		services, err := concerned(tx, changes)
		if err != nil {
			return err
		}
		for _, service := range services {
			more, err := superseded(tx, service)
			if err != nil {
				return err
			}
			old = append(old, more...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(old, maxBatch) {
		if err := r.store.Update(ctx, func(tx *store.Tx) error { return remove(tx, batch) }); err != nil {
			return err
		}
	}
	return nil
}

// concerned lists the services whose tasks changed.
func concerned(tx *store.ReadTx, changes store.Changes) ([]store.Key, error) {
	if changes.All {
		return slices.Collect(tx.Services().Keys()), nil
	}
	tasks := slices.Concat(changes.Keys(store.TableTasks), changes.Keys(store.TableTaskStatus))
	for _, key := range changes.Keys(store.TableAttachments) {
		tasks = append(tasks, store.KeyOf(key.Namespace(), key.ID()))
	}
	var services []store.Key
	for _, key := range tasks {
		task, err := tx.Tasks().Get(key.Parts()...)
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		// Only a slot with many predecessors has something to forget.
		if task.GetIncarnation() > keepTasks {
			services = append(services, store.KeyOf(key.Namespace(), task.GetServiceId()))
		}
	}
	slices.Sort(services)
	return slices.Compact(services), nil
}

// superseded lists a service's tasks that are over, released, and followed by
// keepTasks others in their slot.
func superseded(tx *store.ReadTx, service store.Key) ([]store.Key, error) {
	slots := map[uint32][]*warrenv1.Task{}
	for _, task := range tx.Tasks().OfService(service.Namespace(), service.ID()) {
		slots[task.GetSlot()] = append(slots[task.GetSlot()], task)
	}
	var old []store.Key
	for _, tasks := range slots {
		if len(tasks) <= keepTasks {
			continue
		}
		slices.SortFunc(tasks, func(a, b *warrenv1.Task) int { return cmp.Compare(b.GetIncarnation(), a.GetIncarnation()) })
		for _, task := range tasks[keepTasks:] {
			key := store.KeyOf(service.Namespace(), task.GetMeta().GetId())
			ok, err := overAndReleased(tx, key)
			if err != nil {
				return nil, err
			} else if ok {
				old = append(old, key)
			}
		}
	}
	slices.Sort(old)
	return old, nil
}

func overAndReleased(tx *store.ReadTx, task store.Key) (bool, error) {
	status, err := tx.TaskStatus().Peek(task.Parts()...)
	if err != nil || !spec.Terminal(status.GetState()) {
		return false, unlessNotFound(err)
	}
	for range tx.Attachments().OfTask(task.Namespace(), task.ID()) {
		return false, nil
	}
	return true, nil
}

func remove(tx *store.Tx, tasks []store.Key) error {
	tx.Reclaim()
	for _, key := range tasks {
		task, err := tx.Tasks().Get(key.Parts()...)
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		if err := tx.Tasks().Delete(task); err != nil {
			return err
		}
		if err := tx.TaskStatus().Delete(key.Parts()...); err != nil {
			return err
		}
	}
	return nil
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
