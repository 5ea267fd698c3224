package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// Leave takes the calling node out of the cluster: it gives the node no tasks
// any more, waits until those that it has are over, and removes it.
func (j *joining) Leave(ctx context.Context, r *warrenv1.LeaveRequest) (*warrenv1.LeaveResponse, error) {
	const command = "sudo warren leave"
	caller, _ := CallerOf(ctx)
	if caller.ID == "" {
		return nil, spec.Problemf(spec.Refused, spec.KindNode, caller.Name, "%s is no node", caller)
	}
	slack, err := j.empty(ctx, caller.ID, r.GetForce(), command)
	if err != nil {
		return nil, err
	}
	err = j.await(ctx, j.config.Patience+slack, func(tx *store.ReadTx) (string, bool, error) {
		tasks, err := tasksOf(tx, caller.ID)
		return fmt.Sprint(len(tasks)), len(tasks) == 0, err
	}, store.TableTasks, store.TableTaskStatus)
	if err != nil && (!errors.Is(err, errStalled) || !r.GetForce()) {
		return nil, j.stillRunning(ctx, caller, err)
	}
	answer, err := j.removeNode(ctx, &warrenv1.Ref{NameOrId: caller.ID}, r.GetForce(), command)
	return &warrenv1.LeaveResponse{LostVolumes: answer.GetLostVolumes()}, err
}

// empty drains a node that may leave; it returns how long its tasks may take to
// stop.
func (j *joining) empty(ctx context.Context, id string, force bool, command string) (slack time.Duration, err error) {
	err = j.store.Update(apart(ctx), func(tx *store.Tx) error {
		tx.Reclaim()
		node, err := tx.Nodes().Get(id)
		if err != nil {
			return err
		}
		if slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
			if err := keepsManagers(tx, node); err != nil {
				return err
			}
		}
		if err := losesNothing(tx, node, force, command); err != nil {
			return err
		}
		tasks, err := tasksOf(&tx.ReadTx, id)
		for _, task := range tasks {
			slack = max(slack, task.GetContainer().GetStopTimeout().AsDuration())
		}
		node.Availability = warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED
		return errors.Join(err, tx.Nodes().Put(node))
	})
	return slack, err
}

// losesNothing refuses to take a node with its volumes' data out, without
// force.
func losesNothing(tx *store.Tx, node *warrenv1.Node, force bool, command string) error {
	m := node.GetMeta()
	volumes, _ := volumesOf(&tx.ReadTx, m.GetId())
	volumes = live(volumes)
	if len(volumes) == 0 || force {
		return nil
	}
	return spec.Problemf(spec.InUse, spec.KindNode, m.GetName(), "node %q has the data of %s, which would be lost", m.GetName(), count("volume", volumeNames(volumes))).
		WithHint("%s --force gives that data up", command)
}

// stillRunning names the tasks that did not stop in time.
func (j *joining) stillRunning(ctx context.Context, node Caller, why error) error {
	if !errors.Is(why, errStalled) {
		return why
	}
	return j.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		tasks, err := tasksOf(tx, node.ID)
		if err != nil {
			return err
		}
		return spec.Problemf(spec.Unavailable, spec.KindNode, node.Name, "node %q is drained, but %s did not stop in time", node.Name, count("task", taskNames(tasks))).
			WithHint("try again, or: sudo warren leave --force")
	})
}
