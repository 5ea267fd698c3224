package place

import (
	"errors"
	"fmt"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// snapshot reads what the scheduler must know to place what waits. Tasks that
// cannot be placed whatever the nodes are like are returned apart.
func (c *census) snapshot(tx *store.ReadTx) (s schedule.Snapshot, hopeless []schedule.Wait, err error) {
	if s.Nodes, err = c.nodes(tx); err != nil {
		return s, nil, err
	}
	tasks, volumes := c.waiting()
	wanted := map[store.Key]struct{}{}
	for _, key := range volumes {
		wanted[key] = struct{}{}
	}
	s.Spread = map[string]map[string]int{}
	for _, key := range tasks {
		task, err := tx.Tasks().Get(key.Parts()...)
		if unlessNotFound(err) != nil {
			return s, nil, err
		} else if !waits(task) {
			continue
		}
		if reason := unresolved(task); reason != "" {
			hopeless = append(hopeless, schedule.Wait{ID: string(key), Reason: reason})
			continue
		}
		t := schedule.Task{ID: string(key), Name: task.GetMeta().GetName(), ServiceID: task.GetServiceId(), Only: task.GetOnlyNodeId(), Reserve: reserveOf(task)}
		if t.Constraints, err = spec.ParseConstraints(task.GetConstraints()); err != nil {
			hopeless = append(hopeless, schedule.Wait{ID: string(key), Reason: err.Error()})
			continue
		}
		for _, pin := range task.GetVolumes() {
			volume := store.KeyOf(key.Namespace(), pin.GetVolumeId())
			wanted[volume] = struct{}{}
			t.Volumes = append(t.Volumes, schedule.VolumeRef{ID: string(volume), Name: pin.GetVolume(), Exclusive: pin.GetExclusive()})
		}
		s.Tasks = append(s.Tasks, t)
		s.Spread[t.ServiceID] = c.spread[t.ServiceID]
	}
	for key := range wanted {
		v, err := volumeOf(tx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return s, nil, err
		}
		s.Volumes = append(s.Volumes, v)
	}
	return s, hopeless, nil
}

// unresolved says what the task names that did not exist when it was made.
func unresolved(task *warrenv1.Task) string {
	for _, pin := range task.GetVolumes() {
		if pin.GetVolumeId() == "" {
			return fmt.Sprintf("volume %s does not exist", pin.GetVolume())
		}
	}
	for _, pin := range task.GetSecrets() {
		switch {
		case pin.GetSecretId() != "":
		case pin.GetVersion() != 0:
			return fmt.Sprintf("secret %s has no version %d", pin.GetSecret(), pin.GetVersion())
		default:
			return fmt.Sprintf("secret %s does not exist", pin.GetSecret())
		}
	}
	return ""
}

// nodes lists the workers.
func (c *census) nodes(tx *store.ReadTx) ([]schedule.Node, error) {
	var nodes []schedule.Node
	for key, node := range tx.Nodes().List() {
		if !slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_WORKER) {
			continue
		}
		status, err := tx.NodeStatus().Get(key.ID())
		if unlessNotFound(err) != nil {
			return nil, err
		}
		nodes = append(nodes, schedule.Node{
			ID: key.ID(), Name: node.GetMeta().GetName(),
			Drained: node.GetAvailability() == warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED,
			Labels:  node.GetMeta().GetLabels(),
			Ready:   status.GetState() == warrenv1.NodeState_NODE_STATE_READY,
			Tasks:   c.tasksOn[key.ID()], Volumes: c.volumesOn[key.ID()],
			Capacity: capacityOf(status), Reserved: c.reserved[key.ID()],
		})
	}
	return nodes, nil
}

// capacityOf is what the node said that its machine has.
func capacityOf(status *warrenv1.NodeStatus) schedule.Resources {
	d := status.GetDescription()
	return schedule.Resources{CPUMillis: 1000 * uint64(d.GetCpus()), Memory: d.GetMemoryBytes()}
}

func volumeOf(tx *store.ReadTx, key store.Key) (schedule.Volume, error) {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil {
		return schedule.Volume{}, err
	}
	v := schedule.Volume{
		ID: string(key), Name: volume.GetMeta().GetName(), Local: isLocal(volume), NodeID: volume.GetNodeId(),
		Access: volume.GetSpec().GetAccess(), Deleting: volume.GetDeletedAt() != nil,
	}
	hold, err := tx.Holds().Get(key.Parts()...)
	if err != nil || hold.GetHolders() == 0 {
		return v, unlessNotFound(err)
	}
	for _, attachment := range tx.Attachments().OfVolume(key.Namespace(), key.ID()) {
		v.HeldOn = attachment.GetNodeId()
		break
	}
	if id := hold.GetExclusiveTaskId(); id != "" {
		holder, err := tx.Tasks().Get(key.Namespace(), id)
		if unlessNotFound(err) != nil {
			return v, err
		}
		v.Holder = holder.GetMeta().GetName()
		if v.Holder == "" {
			v.Holder = id
		}
	}
	return v, nil
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
