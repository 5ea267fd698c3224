package server

import (
	"cmp"
	"context"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type tasks struct {
	warrenv1.UnimplementedTasksServer
	*Server
}

// GetTask returns one task; by name, the newest of its slot.
func (t *tasks) GetTask(ctx context.Context, ref *warrenv1.Ref) (task *warrenv1.Task, err error) {
	err = t.store.View(ctx, func(tx *store.ReadTx) error {
		if task, err = find(tx.Tasks(), spec.KindTask, ref); err != nil {
			return err
		}
		return fillTask(tx, task)
	})
	return task, err
}

// ListTasks lists tasks by service and slot; those that are over only if asked
// for.
func (t *tasks) ListTasks(ctx context.Context, r *warrenv1.ListTasksRequest) (*warrenv1.ListTasksResponse, error) {
	namespace, err := checkFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	out := &warrenv1.ListTasksResponse{}
	err = t.store.View(ctx, func(tx *store.ReadTx) error {
		list := tx.Tasks().List(namespace)
		if r.GetService() != "" {
			service, err := find(tx.Services(), spec.KindService, &warrenv1.Ref{Namespace: namespace, NameOrId: r.GetService()})
			if err != nil {
				return err
			}
			list = tx.Tasks().OfService(namespace, service.GetMeta().GetId())
		}
		for _, task := range list {
			if !spec.MatchLabels(task.GetMeta().GetLabels(), r.GetFilter().GetLabels()) {
				continue
			}
			if err := fillTask(tx, task); err != nil {
				return err
			}
			if r.GetAll() || !spec.Terminal(task.GetStatus().GetState()) {
				out.Tasks = append(out.Tasks, task)
			}
		}
		return nil
	})
	slices.SortFunc(out.Tasks, func(a, b *warrenv1.Task) int {
		return cmp.Or(cmp.Compare(a.GetService(), b.GetService()), bySlot(a, b))
	})
	return out, err
}

// fillTask adds what is stored elsewhere.
func fillTask(tx *store.ReadTx, task *warrenv1.Task) (err error) {
	m := task.GetMeta()
	if task.Status, err = optional(tx.TaskStatus().Peek(m.GetNamespace(), m.GetId())); err != nil {
		return err
	}
	if task.NodeName, err = nodeName(tx, task.GetNodeId()); err != nil {
		return err
	}
	tellOfNode(tx, task)
	return nil
}

// tellOfNode says in a task's message that nobody hears of its node: what was
// last reported of it may not be so any more.
func tellOfNode(tx *store.ReadTx, task *warrenv1.Task) {
	if task.GetStatus() == nil || spec.Terminal(task.GetStatus().GetState()) || !onDownNode(tx, task) {
		return
	}
	why := "node " + task.GetNodeName() + " is down"
	for _, pin := range task.GetVolumes() {
		if task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_RUNNING {
			why += "; the task waits for it, because volume " + pin.GetVolume() + " is there"
			break
		}
	}
	task.Status.Message = why
}

// onDownNode tells whether nobody hears of the task's node.
func onDownNode(tx *store.ReadTx, task *warrenv1.Task) bool {
	if task.GetNodeId() == "" {
		return false
	}
	node, err := tx.NodeStatus().Peek(task.GetNodeId())
	return err == nil && node.GetState() == warrenv1.NodeState_NODE_STATE_DOWN
}
