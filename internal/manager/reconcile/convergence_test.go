package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/control/place"
	"github.com/cuemby/warren/internal/manager/control/reap"
	"github.com/cuemby/warren/internal/manager/control/service"
	"github.com/cuemby/warren/internal/manager/control/volume"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

// cluster is a real store with all reconcilers, each killed and started again
// at any moment, and workers that do what they are told.
type cluster struct {
	t     *testing.T
	store *store.Store
	ctx   context.Context
}

func newCluster(t *testing.T, nodes int) *cluster {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	c := &cluster{t, testkit.NewStore(t), ctx}
	c.update(func(tx *store.Tx) error {
		for i := range nodes {
			id := fmt.Sprint("node-", i)
			node := &warrenv1.Node{Meta: &warrenv1.Meta{Id: id, Name: id}, Roles: []warrenv1.Role{warrenv1.Role_ROLE_WORKER}}
			if err := tx.Nodes().Create(node); err != nil {
				return err
			}
			if err := tx.NodeStatus().Put(&warrenv1.NodeStatus{NodeId: id, State: warrenv1.NodeState_NODE_STATE_READY}, id); err != nil {
				return err
			}
		}
		return nil
	})
	return c
}

func (c *cluster) update(fn func(*store.Tx) error) {
	c.t.Helper()
	if err := c.store.Update(c.ctx, fn); err != nil {
		c.t.Fatal(err)
	}
}

type runner interface{ Run(context.Context) error }

// start runs everything until the returned function is called. With killers,
// each reconciler is ended and made anew every few changes of the state.
func (c *cluster) start(kill bool) (stop func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	var all sync.WaitGroup
	log := slog.New(slog.DiscardHandler)
	for _, make := range []func() runner{
		func() runner { return service.New(c.store, log) },
		func() runner { return place.New(c.store, log) },
		func() runner { return volume.New(c.store, log) },
		func() runner { return reap.New(c.store, log) },
	} {
		all.Go(func() {
			for ctx.Err() == nil {
				life, end := context.WithCancel(ctx)
				if kill {
					go c.killAfter(life, rand.IntN(6)+1, end)
				}
				if err := make().Run(life); err != nil {
					c.t.Errorf("a reconciler failed: %v", err)
				}
				end()
			}
		})
	}
	all.Go(func() { c.workers(ctx) })
	return func() { cancel(); all.Wait() }
}

// killAfter ends a reconciler after so many changes.
func (c *cluster) killAfter(ctx context.Context, changes int, end func()) {
	w := c.store.Watch()
	defer w.Close()
	for range changes {
		if _, err := w.Next(ctx); err != nil {
			return
		}
	}
	end()
}

// workers do one step for each task and volume that asks for one.
func (c *cluster) workers(ctx context.Context) {
	w := c.store.Watch(store.TableTasks, store.TableVolumes)
	defer w.Close()
	for {
		if _, err := w.Next(ctx); err != nil {
			return
		}
		err := c.store.Update(ctx, func(tx *store.Tx) error {
			for key, task := range tx.Tasks().List() {
				if err := c.step(tx, key, task); err != nil {
					return err
				}
			}
			for key, v := range tx.Volumes().List() {
				phase := warrenv1.VolumePhase_VOLUME_PHASE_READY
				if v.GetDeletedAt() != nil {
					phase = warrenv1.VolumePhase_VOLUME_PHASE_GONE
				}
				status, err := tx.VolumeStatus().Peek(key.Parts()...)
				if err != nil || v.GetNodeId() == "" || status.GetPhase() == phase {
					continue
				}
				status.Phase = phase
				if err := tx.VolumeStatus().Put(status, key.Parts()...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			c.t.Errorf("workers: %v", err)
		}
	}
}

func (c *cluster) step(tx *store.Tx, key store.Key, task *warrenv1.Task) error {
	status, err := tx.TaskStatus().Get(key.Parts()...)
	if err != nil || task.GetNodeId() == "" || spec.Terminal(status.GetState()) {
		return err
	}
	want := warrenv1.TaskState_TASK_STATE_RUNNING
	if task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED {
		want = warrenv1.TaskState_TASK_STATE_STOPPED
	}
	if status.GetState() == want {
		return nil
	}
	status.State, status.StateSince = want, timestamppb.Now()
	return tx.TaskStatus().Put(status, key.Parts()...)
}

// eventually waits until the state is as wanted; check returns what is not.
func (c *cluster) eventually(check func(*store.ReadTx) string) {
	c.t.Helper()
	w := c.store.Watch()
	defer w.Close()
	for {
		var wrong string
		if err := c.store.ViewStale(c.ctx, func(tx *store.ReadTx) error { wrong = check(tx); return nil }); err != nil {
			c.t.Fatalf("%v; still: %s", err, wrong)
		}
		if wrong == "" {
			return
		}
		if _, err := w.Next(c.ctx); err != nil {
			c.t.Fatalf("%v; still: %s", err, wrong)
		}
	}
}

// alwaysSafe looks at every state it can catch until ctx ends.
func (c *cluster) alwaysSafe(ctx context.Context) {
	w := c.store.Watch()
	defer w.Close()
	for {
		if _, err := w.Next(ctx); err != nil {
			return
		}
		var wrong string
		if err := c.store.ViewStale(ctx, func(tx *store.ReadTx) error { wrong = unsafe(tx); return nil }); err != nil {
			return
		}
		if wrong != "" {
			c.t.Error(wrong)
			return
		}
	}
}

// unsafe says what must never be, and is.
func unsafe(tx *store.ReadTx) string {
	live, holders := map[string]string{}, map[string]uint32{}
	for key, task := range tx.Tasks().List() {
		status, err := tx.TaskStatus().Peek(key.Parts()...)
		if err != nil || spec.Terminal(status.GetState()) {
			continue
		}
		slot := fmt.Sprint(task.GetServiceId(), "/", task.GetSlot())
		if len(task.GetVolumes()) == 0 {
			slot += fmt.Sprint("/", task.GetSpecVersion()) // the next one starts first
		}
		if other := live[slot]; other != "" {
			return fmt.Sprintf("%s and %s share slot %s", other, key, slot)
		}
		live[slot] = string(key)
		for _, pin := range task.GetVolumes() {
			if task.GetNodeId() == "" {
				continue
			}
			v, err := tx.Volumes().Get(ns, pin.GetVolumeId())
			if err != nil || v.GetNodeId() != task.GetNodeId() || !v.GetPinned() {
				return fmt.Sprintf("%s is on %s, its volume: %v %v", key, task.GetNodeId(), v, err)
			}
			if _, err := tx.Attachments().Get(ns, pin.GetVolumeId(), key.ID()); err != nil {
				return fmt.Sprintf("%s uses %s without an attachment: %v", key, pin.GetVolumeId(), err)
			}
		}
	}
	for _, a := range tx.Attachments().List() {
		holders[a.GetVolumeId()]++
	}
	for key, v := range tx.Volumes().List() {
		hold, err := tx.Holds().Get(key.Parts()...)
		if errors.Is(err, store.ErrNotFound) {
			hold = &storepb.Hold{}
		}
		if hold.GetHolders() != holders[key.ID()] {
			return fmt.Sprintf("volume %s has %d attachments, its hold says %d", key, holders[key.ID()], hold.GetHolders())
		}
		if v.GetSpec().GetAccess() == warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE && holders[key.ID()] > 1 {
			return fmt.Sprintf("exclusive volume %s has %d holders", key, holders[key.ID()])
		}
	}
	return ""
}

func (c *cluster) createVolume(name, node string, access warrenv1.AccessMode) {
	c.update(func(tx *store.Tx) error {
		return tx.Volumes().Create(&warrenv1.Volume{
			Meta: &warrenv1.Meta{Id: "vol-" + name, Name: name, Namespace: ns},
			Spec: &warrenv1.VolumeSpec{Driver: spec.DriverLocal, Access: access}, NodeId: node,
		})
	})
}

func (c *cluster) createService(name string, replicas uint32, volumes ...string) {
	c.update(func(tx *store.Tx) error {
		container := &warrenv1.ContainerSpec{Image: "busybox"}
		for _, v := range volumes {
			container.Volumes = append(container.Volumes, &warrenv1.VolumeMount{Volume: v, Path: "/" + v})
			uses, err := tx.Uses().Get(ns, "vol-"+v)
			if errors.Is(err, store.ErrNotFound) {
				uses = &storepb.Uses{}
			}
			uses.ServiceIds = append(uses.ServiceIds, "svc-"+name)
			if err := tx.Uses().Put(uses, ns, "vol-"+v); err != nil {
				return err
			}
		}
		return tx.Services().Create(&warrenv1.Service{
			Meta: &warrenv1.Meta{Id: "svc-" + name, Name: name, Namespace: ns}, SpecVersion: 1,
			Spec: &warrenv1.ServiceSpec{Container: container, Replicas: replicas, Update: &warrenv1.UpdateRules{Monitor: durationpb.New(time.Millisecond)}},
		})
	})
}

func (c *cluster) change(name string, fn func(*warrenv1.Service)) {
	c.update(func(tx *store.Tx) error {
		s, err := tx.Services().ByName(ns, name)
		if err != nil {
			return err
		}
		fn(s)
		return tx.Services().Put(s)
	})
}

// running counts a service's tasks that run and are of its newest spec.
func running(tx *store.ReadTx, name string) (n, others int) {
	s, err := tx.Services().ByName(ns, name)
	if err != nil {
		return 0, 0
	}
	for key, task := range tx.Tasks().OfService(ns, s.GetMeta().GetId()) {
		status, err := tx.TaskStatus().Peek(key.Parts()...)
		switch {
		case err != nil || spec.Terminal(status.GetState()):
		case status.GetState() == warrenv1.TaskState_TASK_STATE_RUNNING && task.GetSpecVersion() == s.GetSpecVersion() && task.GetSlot() <= s.GetSpec().GetReplicas():
			n++
		default:
			others++
		}
	}
	return n, others
}

func (c *cluster) eventuallyRuns(name string, want int) {
	c.t.Helper()
	c.eventually(func(tx *store.ReadTx) string {
		if n, others := running(tx, name); n != want || others != 0 {
			return fmt.Sprintf("%s has %d of %d tasks running and %d others", name, n, want, others)
		}
		return ""
	})
}

func TestServicesBecomeRunningTasksAndGoAgain(t *testing.T) {
	c := newCluster(t, 1)
	c.createVolume("data", "", warrenv1.AccessMode_ACCESS_MODE_NODE)
	c.createService("pg", 1, "data")
	defer c.start(false)()
	c.eventuallyRuns("pg", 1)

	c.change("pg", func(s *warrenv1.Service) { s.Stopped = true })
	c.eventuallyRuns("pg", 0)
	c.change("pg", func(s *warrenv1.Service) { s.Stopped, s.SpecVersion, s.Rollout = false, 2, 1 })
	c.eventuallyRuns("pg", 1)

	c.change("pg", func(s *warrenv1.Service) { s.DeletedAt = timestamppb.Now() })
	c.eventually(func(tx *store.ReadTx) string {
		for key := range tx.Services().Keys() {
			return "service " + string(key)
		}
		for key := range tx.Tasks().Keys() {
			return "task " + string(key)
		}
		for key := range tx.Attachments().Keys() {
			return "attachment " + string(key)
		}
		for key := range tx.Uses().Keys() {
			return "use " + string(key)
		}
		return ""
	})
	c.update(func(tx *store.Tx) error {
		v, err := tx.Volumes().ByName(ns, "data")
		if err != nil {
			return err
		}
		v.DeletedAt = timestamppb.Now()
		return tx.Volumes().Put(v)
	})
	c.eventually(func(tx *store.ReadTx) string {
		if _, err := tx.Volumes().ByName(ns, "data"); !errors.Is(err, store.ErrNotFound) {
			return fmt.Sprint("the volume stays: ", err)
		}
		for key := range tx.VolumeStatus().Keys() {
			return "volume status " + string(key)
		}
		return ""
	})
}

func TestReconcilersMayBeKilledAtAnyStep(t *testing.T) {
	c := newCluster(t, 3)
	c.createVolume("shared", "", warrenv1.AccessMode_ACCESS_MODE_NODE)
	c.createVolume("alone", "node-1", warrenv1.AccessMode_ACCESS_MODE_EXCLUSIVE)
	c.createVolume("other", "node-1", warrenv1.AccessMode_ACCESS_MODE_NODE)
	c.createService("web", 3)
	c.createService("app", 2, "shared")
	c.createService("db", 1, "alone", "other")
	watching, seen := context.WithCancel(c.ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { c.alwaysSafe(watching) })
	stop := c.start(true)
	for range 40 {
		name := []string{"web", "app", "db"}[rand.IntN(3)]
		c.change(name, func(s *warrenv1.Service) {
			switch rand.IntN(4) {
			case 0:
				s.Stopped = !s.Stopped
			case 1:
				s.SpecVersion, s.Rollout = s.SpecVersion+1, s.Rollout+1
			default:
				s.Spec.Replicas = rand.Uint32N(4)
			}
		})
	}
	for name, replicas := range map[string]uint32{"web": 4, "app": 2, "db": 1} {
		c.change(name, func(s *warrenv1.Service) { s.Stopped, s.Spec.Replicas = false, replicas })
	}
	for name, replicas := range map[string]int{"web": 4, "app": 2, "db": 1} {
		c.eventuallyRuns(name, replicas)
	}
	stop()
	seen()
	watcher.Wait()
	c.eventually(func(tx *store.ReadTx) string { return unsafe(tx) })
}
