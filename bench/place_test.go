//go:build bench

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/control/place"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const (
	placeNodes    = 5000
	placeTasks    = 50000
	placeServices = 500
	decideRounds  = 5
	decideAim     = 50000
	committedAim  = 5000
)

// TestDecide measures the scheduler alone, on a large cluster in which every
// task has a volume of its own: none of them placed; all of them placed; and
// none placed, but with reservations and conditions that one node in ten
// satisfies, on nodes that are not empty.
func TestDecide(t *testing.T) {
	conditions, err := spec.ParseConstraints([]string{"node.labels.zone==z3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(i int, task *schedule.Task, v *schedule.Volume)
	}{
		{"new volumes", func(int, *schedule.Task, *schedule.Volume) {}},
		{"placed volumes", func(i int, _ *schedule.Task, v *schedule.Volume) { v.NodeID = nodeID(i % placeNodes) }},
		{"conditions", func(_ int, task *schedule.Task, _ *schedule.Volume) {
			task.Constraints, task.Reserve = conditions, schedule.Resources{CPUMillis: 100, Memory: 64 << 20}
		}},
	} {
		s := largeSnapshot(c.change)
		var rates samples
		for range decideRounds {
			took := seconds(func() {
				if d := schedule.Decide(s); len(d.Tasks) != placeTasks {
					t.Fatalf("%s: %d placed, %d wait: %v", c.name, len(d.Tasks), len(d.WaitingTasks), d.WaitingTasks[:1])
				}
			})
			rates = append(rates, placeTasks/took)
		}
		result.measurement("placements decided, 5,000 nodes, 50,000 tasks, "+c.name, "/s", rates)
		result.atLeast("placements decided, "+c.name, rates.median(), decideAim, "/s")
	}
}

func nodeID(i int) string { return fmt.Sprintf("node-%04d-abcdef", i) }

func largeSnapshot(change func(i int, task *schedule.Task, v *schedule.Volume)) schedule.Snapshot {
	s := schedule.Snapshot{Spread: map[string]map[string]int{}}
	for i := range placeNodes {
		s.Nodes = append(s.Nodes, schedule.Node{
			ID: nodeID(i), Name: nodeID(i), Ready: true, Tasks: i % 7, Labels: map[string]string{"zone": fmt.Sprint("z", i%10)},
			Capacity: schedule.Resources{CPUMillis: 64000, Memory: 256 << 30},
		})
	}
	for i := range placeTasks {
		name, service := fmt.Sprint("data-", i), fmt.Sprint("svc-", i%placeServices)
		id := string(store.KeyOf("default", "vol-"+name+"-abcdef"))
		v := schedule.Volume{ID: id, Name: name, Local: true}
		task := schedule.Task{
			ID: string(store.KeyOf("default", fmt.Sprint("task-", i))), Name: fmt.Sprint(service, "-task-", i), ServiceID: service,
			Volumes: []schedule.VolumeRef{{ID: id, Name: name}},
		}
		change(i, &task, &v)
		s.Volumes, s.Tasks = append(s.Volumes, v), append(s.Tasks, task)
		if s.Spread[service] == nil {
			s.Spread[service] = map[string]int{nodeID(i % placeNodes): 1}
		}
	}
	return s
}

// TestPlace has the same tasks and volumes placed by the reconciler: each
// placement is committed through Raft on this disk, with the volume's node, its
// hold and its attachment.
func TestPlace(t *testing.T) {
	s := testkit.NewStore(t)
	fill(t, s, placeNodes, func(tx *store.Tx, i int) error {
		if err := tx.NodeStatus().Put(&warrenv1.NodeStatus{NodeId: nodeID(i), State: warrenv1.NodeState_NODE_STATE_READY}, nodeID(i)); err != nil {
			return err
		}
		return tx.Nodes().Create(&warrenv1.Node{
			Meta: &warrenv1.Meta{Id: nodeID(i), Name: nodeID(i)}, Roles: []warrenv1.Role{warrenv1.Role_ROLE_WORKER},
		})
	})
	fill(t, s, placeTasks, putWaitingTask)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- place.New(s, slog.New(slog.DiscardHandler)).Run(ctx) }()
	awaitPlaced(t, s)
	took := time.Since(began).Seconds()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	result.measurement("placements committed, 5,000 nodes, 50,000 tasks, each with a volume", "/s", samples{placeTasks / took})
	result.atLeast("placements committed", placeTasks/took, committedAim, "/s")
}

// fill writes that many objects, many in a transaction.
func fill(t *testing.T, s *store.Store, count int, put func(tx *store.Tx, i int) error) {
	t.Helper()
	const batch = 250
	for from := 0; from < count; from += batch {
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			for i := from; i < min(from+batch, count); i++ {
				if err := put(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// putWaitingTask writes a task and its volume as they are before they have a
// node.
func putWaitingTask(tx *store.Tx, i int) error {
	const ns = spec.DefaultNamespace
	volume, service := fmt.Sprint("data-", i), fmt.Sprint("svc-", i%placeServices)
	id, now := "vol-"+volume+"-abcdef", timestamppb.Now()
	v := &warrenv1.Volume{
		Meta: &warrenv1.Meta{Id: id, Name: volume, Namespace: ns, CreatedAt: now},
		Spec: &warrenv1.VolumeSpec{Driver: spec.DriverLocal, Access: warrenv1.AccessMode_ACCESS_MODE_NODE},
	}
	task := &warrenv1.Task{
		Meta:      &warrenv1.Meta{Id: fmt.Sprint("task-", i), Name: fmt.Sprint(service, "-task-", i), Namespace: ns, CreatedAt: now},
		ServiceId: service, Service: service, Slot: uint32(i), Incarnation: 1,
		Container: &warrenv1.ContainerSpec{Image: "busybox", Volumes: []*warrenv1.VolumeMount{{Volume: volume, Path: "/data"}}},
		Volumes:   []*warrenv1.VolumePin{{VolumeId: id, Volume: volume, Path: "/data"}},
		Desired:   warrenv1.DesiredState_DESIRED_STATE_RUNNING,
	}
	if err := tx.Volumes().Create(v); err != nil {
		return err
	}
	if err := tx.Tasks().Create(task); err != nil {
		return err
	}
	return tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: task.Meta.Id, State: warrenv1.TaskState_TASK_STATE_PENDING}, ns, task.Meta.Id)
}

// awaitPlaced waits until every task has a node.
func awaitPlaced(t *testing.T, s *store.Store) {
	t.Helper()
	w := s.Watch(store.TableTaskStatus)
	defer w.Close()
	placed := map[store.Key]bool{}
	for len(placed) < placeTasks {
		changes, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = s.ViewStale(t.Context(), func(tx *store.ReadTx) error {
			for _, key := range changes.Keys(store.TableTaskStatus) {
				status, err := tx.TaskStatus().Peek(key.Parts()...)
				if err != nil {
					return err
				}
				if status.GetState() == warrenv1.TaskState_TASK_STATE_ASSIGNED {
					placed[key] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
