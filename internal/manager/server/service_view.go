package server

import (
	"cmp"
	"fmt"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// fillService adds the service's tasks, how many run, and what a person should
// know.
func fillService(tx *store.ReadTx, service *warrenv1.Service) error {
	m := service.GetMeta()
	var err error
	if service.Tasks, err = currentTasks(tx, service); err != nil {
		return err
	}
	if service.Wanted, err = wantedTasks(tx, service); err != nil {
		return err
	}
	if service.GetDeletedAt() != nil {
		service.Warnings = append(service.Warnings, "it is being deleted")
	}
	for _, t := range service.GetTasks() {
		switch {
		case t.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_RUNNING:
			if service.GetStopped() && !spec.Terminal(t.GetStatus().GetState()) {
				service.Warnings = append(service.Warnings, fmt.Sprintf("%s has not stopped yet", t.GetMeta().GetName()))
			}
		case t.GetStatus().GetState() == warrenv1.TaskState_TASK_STATE_RUNNING && !onDownNode(tx, t):
			service.Running++
			countHealth(service, t.GetStatus().GetHealth())
		case t.GetStatus().GetMessage() != "":
			if t.GetStatus().GetState() == warrenv1.TaskState_TASK_STATE_FINISHED {
				service.Finished++
			}
			service.Warnings = append(service.Warnings, fmt.Sprintf("%s (%s): %s",
				t.GetMeta().GetName(), spec.TaskStateName(t.GetStatus().GetState()), t.GetStatus().GetMessage()))
		}
	}
	if err := fillUpdate(tx, service); err != nil {
		return err
	}
	behind, err := behindSecrets(tx, service)
	if err != nil {
		return err
	}
	service.Warnings = append(service.Warnings, behind...)
	shared, err := sharedVolumes(tx, m.GetNamespace(), service.GetSpec())
	service.Warnings = append(service.Warnings, shared...)
	service.Warnings = append(service.Warnings, looseLimits(tx, service.GetSpec())...)
	return err
}

func countHealth(service *warrenv1.Service, health warrenv1.Health) {
	if health != warrenv1.Health_HEALTH_UNSPECIFIED {
		service.Checked++
	}
	switch health {
	case warrenv1.Health_HEALTH_HEALTHY:
		service.Healthy++
	case warrenv1.Health_HEALTH_UNHEALTHY:
		service.Unhealthy++
	}
}

// fillUpdate adds how far the service's last update is.
func fillUpdate(tx *store.ReadTx, service *warrenv1.Service) error {
	if service.GetRollout() == 0 {
		return nil
	}
	m := service.GetMeta()
	update, err := optional(tx.ServiceUpdates().Peek(m.GetNamespace(), m.GetId()))
	if err != nil {
		return err
	}
	if update.GetRollout() != service.GetRollout() { // nobody has taken it up yet
		update = &warrenv1.ServiceUpdate{Rollout: service.GetRollout(), State: warrenv1.UpdateState_UPDATE_STATE_UPDATING}
	}
	update.Order = spec.UpdateOrder(service.GetSpec(), func(name string) bool {
		volume, err := tx.Volumes().ByName(m.GetNamespace(), name)
		return err == nil && volume.GetSpec().GetAccess() == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE
	})
	service.Update = update
	switch update.GetState() {
	case warrenv1.UpdateState_UPDATE_STATE_PAUSED, warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED:
		service.Warnings = append(service.Warnings, "the update is paused: "+update.GetMessage())
	}
	return nil
}

// currentTasks returns the tasks that are not over, and of each slot that is
// wanted and has none such the newest; by slot, newest last.
func currentTasks(tx *store.ReadTx, service *warrenv1.Service) ([]*warrenv1.Task, error) {
	m := service.GetMeta()
	newest := map[uint32]*warrenv1.Task{}
	var all []*warrenv1.Task
	for _, task := range tx.Tasks().OfService(m.GetNamespace(), m.GetId()) {
		if err := fillTask(tx, task); err != nil {
			return nil, err
		}
		all = append(all, task)
		if best := newest[task.GetSlot()]; best == nil || lasts(best, task) < 0 {
			newest[task.GetSlot()] = task
		}
	}
	all = slices.DeleteFunc(all, func(t *warrenv1.Task) bool {
		wanted := t == newest[t.GetSlot()] && t.GetSlot() <= service.GetSpec().GetReplicas()
		return !wanted && spec.Terminal(t.GetStatus().GetState())
	})
	slices.SortFunc(all, bySlot)
	return all, nil
}

// lasts orders tasks of one slot: a live one comes last, then a newer one.
func lasts(a, b *warrenv1.Task) int {
	overA, overB := spec.Terminal(a.GetStatus().GetState()), spec.Terminal(b.GetStatus().GetState())
	switch {
	case overA == overB:
		return cmp.Compare(a.GetIncarnation(), b.GetIncarnation())
	case overA:
		return -1
	default:
		return 1
	}
}

func bySlot(a, b *warrenv1.Task) int {
	return cmp.Or(cmp.Compare(a.GetSlot(), b.GetSlot()), cmp.Compare(a.GetIncarnation(), b.GetIncarnation()))
}

// sharedVolumes warns of replicas that one local volume ties to one node.
func sharedVolumes(tx *store.ReadTx, namespace string, s *warrenv1.ServiceSpec) ([]string, error) {
	global := spec.IsGlobal(s)
	if s.GetReplicas() < 2 && !global {
		return nil, nil
	}
	var warnings []string
	for _, mount := range s.GetContainer().GetVolumes() {
		if mount.GetHostPath() != "" || spec.PerSlot(mount.GetVolume()) {
			continue
		}
		volume, err := optional(tx.Volumes().ByName(namespace, mount.GetVolume()))
		if err != nil {
			return nil, err
		}
		switch {
		case volume == nil:
		case global && volume.GetSpec().GetDriver() == spec.DriverLocal:
			warnings = append(warnings, tiedToOneNode(tx, volume))
		case mount.GetExclusive() || volume.GetSpec().GetAccess() == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE:
			warnings = append(warnings, fmt.Sprintf("volume %s is exclusive: one of the %d tasks runs, the others wait",
				mount.GetVolume(), s.GetReplicas()))
		case volume.GetSpec().GetDriver() == spec.DriverLocal:
			warnings = append(warnings, fmt.Sprintf("all %d tasks share the local volume %s, so they all run on its node",
				s.GetReplicas(), mount.GetVolume()))
		}
	}
	return warnings, nil
}
