package place

import (
	"maps"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// census knows what each node was given and what waits for a node, kept up to
// date change by change, so that a decision does not begin with reading every
// task. It is a view of the state: dropped and made anew whenever in doubt.
type census struct {
	tasks   map[store.Key]seat
	volumes map[store.Key]string // node
	// What was given to each node, and of each service.
	tasksOn   map[string]int
	volumesOn map[string]int
	spread    map[string]map[string]int // service, node
	reserved  map[string]schedule.Resources

	waitingTasks   map[store.Key]struct{}
	waitingVolumes map[store.Key]struct{}
}

// seat is where a task that is not over was placed, and what is reserved for
// it there.
type seat struct {
	node, service string
	reserve       schedule.Resources
}

func newCensus() *census {
	return &census{
		tasks: map[store.Key]seat{}, volumes: map[store.Key]string{},
		tasksOn: map[string]int{}, volumesOn: map[string]int{}, spread: map[string]map[string]int{},
		reserved:     map[string]schedule.Resources{},
		waitingTasks: map[store.Key]struct{}{}, waitingVolumes: map[store.Key]struct{}{},
	}
}

// take brings the census up to date and tells whether a new decision may come
// out differently.
func (c *census) take(tx *store.ReadTx, changes store.Changes) (matters bool, err error) {
	tasks := slices.Concat(changes.Keys(store.TableTasks), changes.Keys(store.TableTaskStatus))
	volumes := changes.Keys(store.TableVolumes)
	if changes.All {
		*c = *newCensus()
		tasks = slices.Collect(tx.Tasks().Keys())
		volumes = slices.Collect(tx.Volumes().Keys())
	}
	matters = changes.Any(store.TableNodes, store.TableNodeStatus, store.TableAttachments, store.TableVolumes, store.TableTasks)
	for _, key := range tasks {
		changed, err := c.takeTask(tx, key)
		if err != nil {
			return false, err
		}
		matters = matters || changed
	}
	for _, key := range volumes {
		if err := c.takeVolume(tx, key); err != nil {
			return false, err
		}
	}
	return matters, nil
}

func (c *census) takeTask(tx *store.ReadTx, key store.Key) (changed bool, err error) {
	task, err := tx.Tasks().Get(key.Parts()...)
	if unlessNotFound(err) != nil {
		return false, err
	}
	status, err := tx.TaskStatus().Get(key.Parts()...)
	if unlessNotFound(err) != nil {
		return false, err
	}
	var is seat
	if task.GetNodeId() != "" && !spec.Terminal(status.GetState()) {
		is = seat{node: task.GetNodeId(), service: task.GetServiceId()}
		if status.GetState() != warrenv1.TaskState_TASK_STATE_FINISHED {
			is.reserve = reserveOf(task)
		}
	}
	was := c.tasks[key]
	if was != is {
		c.count(was, -1)
		c.count(is, +1)
		c.tasks[key] = is
		if is == (seat{}) {
			delete(c.tasks, key)
		}
	}
	if waits(task) && !spec.Terminal(status.GetState()) {
		c.waitingTasks[key] = struct{}{}
	} else {
		delete(c.waitingTasks, key)
	}
	return was != is, nil
}

func (c *census) takeVolume(tx *store.ReadTx, key store.Key) error {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if unlessNotFound(err) != nil {
		return err
	}
	if was := c.volumes[key]; was != volume.GetNodeId() {
		c.volumesOn[was]--
		c.volumesOn[volume.GetNodeId()]++
		c.volumes[key] = volume.GetNodeId()
	}
	if volume == nil {
		delete(c.volumes, key)
	}
	if unplaced(volume) {
		c.waitingVolumes[key] = struct{}{}
	} else {
		delete(c.waitingVolumes, key)
	}
	return nil
}

func (c *census) count(s seat, by int) {
	if s.node == "" {
		return
	}
	c.tasksOn[s.node] += by
	was := c.reserved[s.node]
	c.reserved[s.node] = schedule.Resources{
		CPUMillis: was.CPUMillis + uint64(by)*s.reserve.CPUMillis, // down by wrapping around
		Memory:    was.Memory + uint64(by)*s.reserve.Memory,
	}
	if c.spread[s.service] == nil {
		c.spread[s.service] = map[string]int{}
	}
	c.spread[s.service][s.node] += by
	if c.spread[s.service][s.node] == 0 {
		delete(c.spread[s.service], s.node)
	}
	if len(c.spread[s.service]) == 0 {
		delete(c.spread, s.service)
	}
}

// waiting lists what has no node, in a fixed order.
func (c *census) waiting() (tasks, volumes []store.Key) {
	return slices.Sorted(maps.Keys(c.waitingTasks)), slices.Sorted(maps.Keys(c.waitingVolumes))
}

// waits tells whether a task is to be given a node.
func waits(task *warrenv1.Task) bool {
	return task != nil && task.GetNodeId() == "" && task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_RUNNING
}

// unplaced tells whether a volume is to be given a node.
func unplaced(volume *warrenv1.Volume) bool {
	return volume != nil && isLocal(volume) && volume.GetNodeId() == "" && volume.GetDeletedAt() == nil
}

func isLocal(volume *warrenv1.Volume) bool { return volume.GetSpec().GetDriver() == spec.DriverLocal }

func reserveOf(task *warrenv1.Task) schedule.Resources {
	r := task.GetContainer().GetResources()
	return schedule.Resources{CPUMillis: uint64(r.GetCpuReserveMillis()), Memory: r.GetMemoryReserveBytes()}
}
