package dispatch

import (
	"context"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// maxMessage bounds one Assignments message, in bytes, well under gRPC's limit
// for a message; an object that is larger by itself goes alone.
const maxMessage = 512 << 10

// assignmentSet is what the worker of one session has been told.
type assignmentSet struct {
	nodeID  string
	tasks   map[string]*warrenv1.Task
	volumes map[string]*warrenv1.Volume
}

func newAssignmentSet(nodeID string) *assignmentSet {
	return &assignmentSet{nodeID: nodeID, tasks: map[string]*warrenv1.Task{}, volumes: map[string]*warrenv1.Volume{}}
}

// sendFull tells the worker its whole set, also when it is empty: only then
// may the worker drop what it does not find in it.
func (t *term) sendFull(ctx context.Context, set *assignmentSet, stream sessionStream) error {
	change, err := t.changes(ctx, set, t.index.of(set.nodeID))
	if err != nil {
		return err
	}
	return sendAssignments(stream, change, true)
}

// sendChanges tells the worker what is different now among the news.
func (t *term) sendChanges(ctx context.Context, set *assignmentSet, stream sessionStream, n news) error {
	if n.empty() {
		return nil
	}
	change, err := t.changes(ctx, set, n)
	if err != nil || proto.Size(change) == 0 {
		return err
	}
	return sendAssignments(stream, change, false)
}

func sendAssignments(stream sessionStream, change *warrenv1.Assignments, full bool) error {
	for _, a := range split(change, maxMessage) {
		a.Full = full
		m := &warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_Assignments{Assignments: a}}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// changes compares the state now with what the worker was told, and notes it
// as told.
func (t *term) changes(ctx context.Context, set *assignmentSet, n news) (*warrenv1.Assignments, error) {
	out := &warrenv1.Assignments{}
	tasks, volumes := n.sorted()
	err := t.Store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, key := range volumes {
			volume, err := assignedVolume(tx, key)
			switch was := set.volumes[key.ID()]; {
			case err != nil:
				return err
			case volume.GetNodeId() == set.nodeID && !proto.Equal(volume, was):
				set.volumes[key.ID()] = volume
				out.Volumes = append(out.Volumes, volume)
			case volume.GetNodeId() != set.nodeID && was != nil:
				delete(set.volumes, key.ID())
				out.RemovedVolumes = append(out.RemovedVolumes, key.ID())
			}
		}
		for _, key := range tasks {
			task, err := assignedTask(tx, key)
			switch was := set.tasks[key.ID()]; {
			case err != nil:
				return err
			case task.GetNodeId() == set.nodeID && !proto.Equal(task, was):
				set.tasks[key.ID()] = task
				out.Tasks = append(out.Tasks, task)
			case task.GetNodeId() != set.nodeID && was != nil:
				delete(set.tasks, key.ID())
				out.RemovedTasks = append(out.RemovedTasks, key.ID())
			}
		}
		return nil
	})
	return out, err
}

// split cuts a change into messages of at most limit bytes each, volumes
// first, since tasks need them. There is always at least one; all but the last
// say that more follow.
func split(a *warrenv1.Assignments, limit int) []*warrenv1.Assignments {
	last := &warrenv1.Assignments{}
	parts := []*warrenv1.Assignments{last}
	room := limit
	fit := func(size int) *warrenv1.Assignments {
		const overhead = 8 // tag and length
		if room -= size + overhead; room < 0 && proto.Size(last) > 0 {
			last.More = true
			last = &warrenv1.Assignments{}
			parts = append(parts, last)
			room = limit - size - overhead
		}
		return last
	}
	for _, v := range a.Volumes {
		m := fit(proto.Size(v))
		m.Volumes = append(m.Volumes, v)
	}
	for _, t := range a.Tasks {
		m := fit(proto.Size(t))
		m.Tasks = append(m.Tasks, t)
	}
	for _, id := range a.RemovedTasks {
		m := fit(len(id))
		m.RemovedTasks = append(m.RemovedTasks, id)
	}
	for _, id := range a.RemovedVolumes {
		m := fit(len(id))
		m.RemovedVolumes = append(m.RemovedVolumes, id)
	}
	return parts
}
