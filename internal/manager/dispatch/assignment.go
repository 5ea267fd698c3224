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
	nodeID    string
	tasks     map[string]*warrenv1.Task
	volumes   map[string]*warrenv1.Volume
	snapshots map[string]*warrenv1.Snapshot
}

func newAssignmentSet(nodeID string) *assignmentSet {
	return &assignmentSet{
		nodeID: nodeID, tasks: map[string]*warrenv1.Task{}, volumes: map[string]*warrenv1.Volume{}, snapshots: map[string]*warrenv1.Snapshot{},
	}
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
	err := t.Store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
		if out.Volumes, out.RemovedVolumes, err = compare(tx, set.nodeID, sorted(n.volumes), set.volumes, assignedVolume); err != nil {
			return err
		}
		if out.Snapshots, out.RemovedSnapshots, err = compare(tx, set.nodeID, sorted(n.snapshots), set.snapshots, assignedSnapshot); err != nil {
			return err
		}
		out.Tasks, out.RemovedTasks, err = compare(tx, set.nodeID, sorted(n.tasks), set.tasks, assignedTask)
		return err
	})
	return out, err
}

// onNode is what is assigned to a node.
type onNode interface {
	comparable
	proto.Message
	GetNodeId() string
}

// compare returns what of these the node is to be told, and what it is to be
// told of no more, and notes it in told.
func compare[T onNode](tx *store.ReadTx, nodeID string, keys []store.Key, told map[string]T, read func(*store.ReadTx, store.Key) (T, error)) (changed []T, removed []string, err error) {
	var none T
	for _, key := range keys {
		is, err := read(tx, key)
		switch was := told[key.ID()]; {
		case err != nil:
			return nil, nil, err
		case is.GetNodeId() == nodeID && !proto.Equal(is, was):
			told[key.ID()] = is
			changed = append(changed, is)
		case is.GetNodeId() != nodeID && was != none:
			delete(told, key.ID())
			removed = append(removed, key.ID())
		}
	}
	return changed, removed, nil
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
	for _, s := range a.Snapshots {
		m := fit(proto.Size(s))
		m.Snapshots = append(m.Snapshots, s)
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
	for _, id := range a.RemovedSnapshots {
		m := fit(len(id))
		m.RemovedSnapshots = append(m.RemovedSnapshots, id)
	}
	return parts
}
