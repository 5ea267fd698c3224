package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// index knows which tasks and volumes are each node's, so that a change costs
// a look at what changed, whatever the cluster's size.
type index struct {
	term  *term
	watch *store.Watcher

	mu        sync.Mutex
	tasks     placed
	volumes   placed
	snapshots placed
}

func newIndex(t *term) *index {
	return &index{
		term: t, tasks: newPlaced(), volumes: newPlaced(), snapshots: newPlaced(),
		watch: t.Store.Watch(store.TableTasks, store.TableTaskStatus, store.TableVolumes,
			store.TableSnapshots, store.TableSnapshotStatus),
	}
}

func (x *index) close() { x.watch.Close() }

// load reads everything once: a watcher's first changes are all there is.
func (x *index) load(ctx context.Context) error {
	changes, err := x.watch.Next(ctx)
	if err != nil {
		return err
	}
	return x.apply(ctx, changes)
}

// run follows what is committed until ctx ends.
func (x *index) run(ctx context.Context) error {
	for {
		changes, err := x.watch.Next(ctx)
		if err == nil {
			err = x.apply(ctx, changes)
		}
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// apply takes changes in, then tells the sessions that they concern.
func (x *index) apply(ctx context.Context, changes store.Changes) error {
	told := notes{}
	err := x.term.Store.ViewStale(ctx, func(tx *store.ReadTx) error {
		x.mu.Lock()
		defer x.mu.Unlock()
		tasks := slices.Concat(changes.Keys(store.TableTasks), changes.Keys(store.TableTaskStatus))
		volumes := changes.Keys(store.TableVolumes)
		snapshots := slices.Concat(changes.Keys(store.TableSnapshots), changes.Keys(store.TableSnapshotStatus))
		if changes.All {
			tasks = slices.AppendSeq(x.tasks.keys(), tx.Tasks().Keys())
			volumes = slices.AppendSeq(x.volumes.keys(), tx.Volumes().Keys())
			snapshots = slices.AppendSeq(x.snapshots.keys(), tx.Snapshots().Keys())
		}
		for _, key := range tasks {
			task, err := assignedTask(tx, key)
			if err != nil {
				return err
			}
			was := x.tasks.put(key, task.GetNodeId())
			told.task(key, was, task.GetNodeId())
		}
		for _, key := range volumes {
			volume, err := assignedVolume(tx, key)
			if err != nil {
				return err
			}
			was := x.volumes.put(key, volume.GetNodeId())
			told.volume(key, was, volume.GetNodeId())
		}
		for _, key := range snapshots {
			snapshot, err := assignedSnapshot(tx, key)
			if err != nil {
				return err
			}
			was := x.snapshots.put(key, snapshot.GetNodeId())
			told.snapshot(key, was, snapshot.GetNodeId())
		}
		return nil
	})
	for node, news := range told {
		if s := x.term.session(node); s != nil {
			s.post(func(o *outbox) { o.changes.add(news) })
		}
	}
	return err
}

// of returns what the node shall have, in order.
func (x *index) of(nodeID string) news {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := newNews()
	for key := range x.tasks.onNode[nodeID] {
		n.tasks[key] = struct{}{}
	}
	for key := range x.volumes.onNode[nodeID] {
		n.volumes[key] = struct{}{}
	}
	for key := range x.snapshots.onNode[nodeID] {
		n.snapshots[key] = struct{}{}
	}
	return n
}

// taskOf returns the key of a task if it is assigned to the node.
func (x *index) taskOf(nodeID, id string) (store.Key, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key, ok := x.tasks.byID[id]
	return key, ok && x.tasks.nodeOf[key] == nodeID
}

// volumeOf returns the key of a volume if it is on the node.
func (x *index) volumeOf(nodeID, id string) (store.Key, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key, ok := x.volumes.byID[id]
	return key, ok && x.volumes.nodeOf[key] == nodeID
}

// snapshotOf returns the key of a snapshot if it is on the node.
func (x *index) snapshotOf(nodeID, id string) (store.Key, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key, ok := x.snapshots.byID[id]
	return key, ok && x.snapshots.nodeOf[key] == nodeID
}

// assignedTask reads a task that some node must know of; nil if none must. A
// task that has stopped and is to be so is nobody's business any more.
func assignedTask(tx *store.ReadTx, key store.Key) (*warrenv1.Task, error) {
	task, err := tx.Tasks().Get(key.Parts()...)
	if err != nil || task.GetNodeId() == "" {
		return nil, unlessNotFound(err)
	}
	if task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_STOPPED {
		return task, nil
	}
	status, err := tx.TaskStatus().Get(key.Parts()...)
	if unlessNotFound(err) != nil || spec.Terminal(status.GetState()) {
		return nil, unlessNotFound(err)
	}
	return task, nil
}

// assignedVolume reads a volume that is on some node; nil if it is on none.
func assignedVolume(tx *store.ReadTx, key store.Key) (*warrenv1.Volume, error) {
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil || volume.GetNodeId() == "" {
		return nil, unlessNotFound(err)
	}
	return volume, nil
}

// assignedSnapshot reads a snapshot that its node must know of; nil if there is
// none. One that failed is tried again by nobody.
func assignedSnapshot(tx *store.ReadTx, key store.Key) (*warrenv1.Snapshot, error) {
	snapshot, err := tx.Snapshots().Get(key.Parts()...)
	if err != nil || snapshot.GetDeletedAt() != nil {
		return snapshot, unlessNotFound(err)
	}
	status, err := tx.SnapshotStatus().Get(key.Parts()...)
	if unlessNotFound(err) != nil || status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED {
		return nil, unlessNotFound(err)
	}
	return snapshot, nil
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// placed is a two-way map of objects and the node they are on.
type placed struct {
	byID   map[string]store.Key
	nodeOf map[store.Key]string
	onNode map[string]map[store.Key]struct{}
}

func newPlaced() placed {
	return placed{byID: map[string]store.Key{}, nodeOf: map[store.Key]string{}, onNode: map[string]map[store.Key]struct{}{}}
}

// put moves the object to the node, or nowhere when nodeID is empty, and
// returns where it was.
func (p placed) put(key store.Key, nodeID string) (was string) {
	was = p.nodeOf[key]
	if was == nodeID {
		return was
	}
	if was != "" {
		delete(p.onNode[was], key)
		if len(p.onNode[was]) == 0 {
			delete(p.onNode, was)
		}
	}
	if nodeID == "" {
		delete(p.nodeOf, key)
		delete(p.byID, key.ID())
		return was
	}
	p.nodeOf[key], p.byID[key.ID()] = nodeID, key
	if p.onNode[nodeID] == nil {
		p.onNode[nodeID] = map[store.Key]struct{}{}
	}
	p.onNode[nodeID][key] = struct{}{}
	return was
}

func (p placed) keys() []store.Key { return slices.Collect(maps.Keys(p.nodeOf)) }
