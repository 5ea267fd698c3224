package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// lostAtOnce bounds the tasks that one transaction gives up.
const lostAtOnce = 100

// RemoveNode takes a node out of the cluster. Its tasks are given up, since
// nobody will report of them again, and with force the volumes on it too.
func (n *nodes) RemoveNode(ctx context.Context, r *warrenv1.RemoveNodeRequest) (*warrenv1.RemoveNodeResponse, error) {
	return n.removeNode(ctx, r.GetRef(), r.GetForce(), "warren node remove "+r.GetRef().GetNameOrId())
}

// removeNode does what that command asks for.
func (s *Server) removeNode(ctx context.Context, ref *warrenv1.Ref, force bool, command string) (*warrenv1.RemoveNodeResponse, error) {
	answer := &warrenv1.RemoveNodeResponse{}
	for {
		id, err := s.commit(ctx, func(tx *store.Tx) (_ string, err error) {
			if answer.Node, err = find(tx.Nodes(), spec.KindNode, ref); err != nil {
				return "", err
			}
			if err := s.forget(tx, answer, force, command); err != nil {
				return "", err
			}
			return answer.Node.GetMeta().GetId(), s.audit(ctx, tx, "removed", spec.KindNode, answer.Node.GetMeta())
		})
		if errors.Is(err, errManages) {
			err = s.stepDown(ctx, ref, force, command)
			if err == nil {
				continue
			}
		}
		if errors.Is(err, errTasksLeft) {
			err = s.giveUpTasks(ctx, ref, force, command)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		if answer.Node == nil { // the request was done before
			answer.Node = &warrenv1.Node{Meta: &warrenv1.Meta{Id: id, Name: ref.GetNameOrId()}}
		}
		s.log.Info("removed a node", "node", answer.Node.GetMeta().GetName(), "by", callerName(ctx), "lost_volumes", answer.LostVolumes)
		return answer, nil
	}
}

// A node that is to be removed has tasks to be given up first, or is a manager
// that the others have to let go first.
var (
	errTasksLeft = errors.New("the node has tasks")
	errManages   = errors.New("the node is a manager")
)

// stepDown makes a node that may be removed no manager any more. Unlike the
// rest it is no part of the request: to do it again changes nothing.
func (s *Server) stepDown(ctx context.Context, ref *warrenv1.Ref, force bool, command string) error {
	id := ""
	err := s.store.Update(apart(ctx), func(tx *store.Tx) error {
		node, err := find(tx.Nodes(), spec.KindNode, ref)
		if err != nil {
			return err
		}
		id = node.GetMeta().GetId()
		if _, _, err := s.mayRemove(tx, node, force, command); err != nil {
			return err
		}
		return resign(tx, node)
	})
	if err != nil {
		return err
	}
	return s.awaitResigned(ctx, id)
}

// forget deletes a node that has no tasks, and the volumes that were on it.
func (s *Server) forget(tx *store.Tx, answer *warrenv1.RemoveNodeResponse, force bool, command string) error {
	tx.Reclaim()
	node := answer.Node
	volumes, tasks, err := s.mayRemove(tx, node, force, command)
	if err != nil {
		return err
	}
	if slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
		return errManages
	}
	if len(tasks) > 0 {
		return errTasksLeft
	}
	answer.LostVolumes = nil
	for _, v := range volumes {
		if v.GetDeletedAt() == nil {
			answer.LostVolumes = append(answer.LostVolumes, v.GetMeta().GetName())
		}
		if err := s.giveUpVolume(tx, v, fmt.Sprintf("node %s was removed", node.GetMeta().GetName())); err != nil {
			return err
		}
	}
	if err := tx.NodeStatus().Delete(node.GetMeta().GetId()); err != nil {
		return err
	}
	return tx.Nodes().Delete(node)
}

// giveUpTasks marks the node's tasks as lost, so many at a time. Unlike the
// rest it is no part of the request: to do it again changes nothing.
func (s *Server) giveUpTasks(ctx context.Context, ref *warrenv1.Ref, force bool, command string) error {
	for left := true; left; {
		err := s.store.Update(apart(ctx), func(tx *store.Tx) error {
			tx.Reclaim()
			node, err := find(tx.Nodes(), spec.KindNode, ref)
			if err != nil {
				return err
			}
			_, tasks, err := s.mayRemove(tx, node, force, command)
			if err != nil {
				return err
			}
			left = len(tasks) > lostAtOnce
			for _, task := range tasks[:min(len(tasks), lostAtOnce)] {
				if err := s.giveUpTask(tx, task, fmt.Sprintf("node %s was removed", node.GetMeta().GetName())); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// giveUpTask says in the place of its node that a task is over. The task's row
// is written too, so that a report of it that is on its way comes to nothing.
func (s *Server) giveUpTask(tx *store.Tx, task *warrenv1.Task, why string) error {
	m := task.GetMeta()
	task, err := tx.Tasks().Get(m.GetNamespace(), m.GetId())
	if err != nil {
		return err
	}
	task.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
	if err := tx.Tasks().Put(task); err != nil {
		return err
	}
	return tx.TaskStatus().Put(&warrenv1.TaskStatus{
		TaskId: m.GetId(), State: warrenv1.TaskState_TASK_STATE_LOST, Message: why, StateSince: s.now(),
	}, m.GetNamespace(), m.GetId())
}

// giveUpVolume says that a volume's data is nowhere. Its node, should it hear of
// it still, is asked for nothing: what is on its disk stays.
func (s *Server) giveUpVolume(tx *store.Tx, volume *warrenv1.Volume, why string) error {
	m := volume.GetMeta()
	volume, err := tx.Volumes().Get(m.GetNamespace(), m.GetId())
	if err != nil {
		return err
	}
	volume.NodeId = ""
	if volume.GetDeletedAt() == nil {
		volume.DeletedAt = s.now()
	}
	return errors.Join(tx.Volumes().Put(volume), tx.VolumeStatus().Put(&warrenv1.VolumeStatus{
		VolumeId: m.GetId(), Phase: warrenv1.VolumePhase_VOLUME_PHASE_GONE, Message: why,
	}, m.GetNamespace(), m.GetId()))
}

// mayRemove refuses to take out a node whose data would be lost or whose tasks
// still run; it returns the volumes that are on it, and its tasks.
func (s *Server) mayRemove(tx *store.Tx, node *warrenv1.Node, force bool, command string) ([]*warrenv1.Volume, []*warrenv1.Task, error) {
	m := node.GetMeta()
	if slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
		if err := keepsManagers(tx, node); err != nil {
			return nil, nil, err
		}
	}
	if err := losesNothing(tx, node, force, command); err != nil {
		return nil, nil, err
	}
	volumes, held := volumesOf(&tx.ReadTx, m.GetId())
	tasks, err := tasksOf(&tx.ReadTx, m.GetId())
	if err != nil || force {
		return volumes, tasks, err
	}
	status, err := optional(tx.NodeStatus().Get(m.GetId()))
	switch {
	case err != nil:
		return nil, nil, err
	case len(held) > 0:
		return nil, nil, spec.Problemf(spec.InUse, spec.KindNode, m.GetName(), "tasks on node %q hold %s, and may still write", m.GetName(), count("volume", held)).
			WithHint("%s --force, once you know that it is off for good", command)
	case len(tasks) > 0 && status.GetState() == warrenv1.NodeState_NODE_STATE_READY:
		return nil, nil, spec.Problemf(spec.InUse, spec.KindNode, m.GetName(), "node %q is up and runs %s", m.GetName(), count("task", taskNames(tasks))).
			WithHint("warren node drain %s, and once they have stopped, remove it", m.GetName())
	}
	return volumes, tasks, nil
}

// live are those of the volumes that were not deleted.
func live(volumes []*warrenv1.Volume) []*warrenv1.Volume {
	return slices.DeleteFunc(slices.Clone(volumes), func(v *warrenv1.Volume) bool { return v.GetDeletedAt() != nil })
}

// volumesOf lists the volumes whose data is on a node, and the names of others
// that tasks on it hold.
func volumesOf(tx *store.ReadTx, nodeID string) (on []*warrenv1.Volume, held []string) {
	for key, v := range tx.Volumes().List() {
		if v.GetNodeId() == nodeID {
			on = append(on, v)
			continue
		}
		for _, a := range tx.Attachments().OfVolume(key.Namespace(), key.ID()) {
			if a.GetNodeId() == nodeID && !slices.Contains(held, v.GetMeta().GetName()) {
				held = append(held, v.GetMeta().GetName())
			}
		}
	}
	return on, held
}

// tasksOf lists the tasks of a node that are not over.
func tasksOf(tx *store.ReadTx, nodeID string) (tasks []*warrenv1.Task, err error) {
	for key, task := range tx.Tasks().OfNode(nodeID) {
		status, err := optional(tx.TaskStatus().Get(key.Parts()...))
		if err != nil {
			return nil, err
		}
		if !spec.Terminal(status.GetState()) {
			tasks = append(tasks, task)
		}
	}
	return tasks, nil
}

func volumeNames(volumes []*warrenv1.Volume) (names []string) {
	for _, v := range volumes {
		names = append(names, v.GetMeta().GetName())
	}
	return names
}

func taskNames(tasks []*warrenv1.Task) (names []string) {
	for _, t := range tasks {
		names = append(names, t.GetMeta().GetName())
	}
	return names
}

// count names things, some of them if there are many: volume a, volumes a, b
// and 7 more.
func count(noun string, names []string) string {
	const shown = 10
	if len(names) == 1 {
		return noun + " " + names[0]
	}
	text := noun + "s " + strings.Join(names[:min(len(names), shown)], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
