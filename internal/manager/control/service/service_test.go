package service

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

type house struct {
	t *testing.T
	*Reconciler
}

func newHouse(t *testing.T) *house {
	return &house{t, New(testkit.NewStore(t), slog.New(slog.DiscardHandler))}
}

func (h *house) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) service(name string, replicas uint32, change ...func(*warrenv1.Service)) {
	h.t.Helper()
	s := &warrenv1.Service{
		Meta: &warrenv1.Meta{Id: "svc-" + name, Name: name, Namespace: ns, Labels: map[string]string{"env": "test"}}, SpecVersion: 1,
		Spec: &warrenv1.ServiceSpec{Replicas: replicas, Container: &warrenv1.ContainerSpec{Image: "busybox"}},
	}
	for _, f := range change {
		f(s)
	}
	h.update(func(tx *store.Tx) error { return tx.Services().Put(s) })
}

// settle reconciles until the service needs nothing.
func (h *house) settle(name string) (steps int) {
	h.t.Helper()
	key := store.KeyOf(ns, "svc-"+name)
	for {
		var idle bool
		if err := h.store.ViewStale(h.t.Context(), func(tx *store.ReadTx) error {
			w, err := look(tx, key, time.Now())
			idle = w == nil || makePlan(w).empty()
			return err
		}); err != nil {
			h.t.Fatal(err)
		}
		if idle {
			return steps
		}
		if err := h.reconcile(h.t.Context(), key); err != nil {
			h.t.Fatal(err)
		}
		steps++
	}
}

func (h *house) tasks(name string) (tasks []*warrenv1.Task) {
	h.t.Helper()
	if err := h.store.View(h.t.Context(), func(tx *store.ReadTx) error {
		for key, task := range tx.Tasks().OfService(ns, "svc-"+name) {
			status, err := tx.TaskStatus().Get(key.Parts()...)
			if err != nil {
				return err
			}
			task.Status = status
			tasks = append(tasks, task)
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return tasks
}

func TestATaskPinsVolumesAndTheNewestSecrets(t *testing.T) {
	h := newHouse(t)
	h.update(func(tx *store.Tx) error {
		if err := tx.Volumes().Create(&warrenv1.Volume{Meta: &warrenv1.Meta{Id: "vol-data-1", Name: "data", Namespace: ns}}); err != nil {
			return err
		}
		return tx.Secrets().Create(&warrenv1.Secret{
			Meta:     &warrenv1.Meta{Id: "secret-pw-1", Name: "pw", Namespace: ns},
			Versions: []*warrenv1.SecretVersion{{Number: 1, Size: 4}, {Number: 3, Size: 9, Keys: []string{"a", "b"}}},
		})
	})
	h.service("pg", 1, func(s *warrenv1.Service) {
		s.Spec.Container.Volumes = []*warrenv1.VolumeMount{{Volume: "data", Path: "/data", ReadOnly: true, NoCopy: true}, {Volume: "lost", Path: "/lost"}}
		s.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "pw"}, {Secret: "pw", Target: "pg/pw"}, {Secret: "lost"}}
	})
	h.settle("pg")
	tasks := h.tasks("pg")
	if len(tasks) != 1 {
		t.Fatalf("tasks: %v", tasks)
	}
	task := tasks[0]
	if task.GetMeta().GetName() != "pg-task-1" || !strings.HasPrefix(task.GetMeta().GetId(), "pg-1-") || task.GetMeta().GetLabels()["env"] != "test" ||
		task.GetSlot() != 1 || task.GetIncarnation() != 1 || task.GetSpecVersion() != 1 || task.GetService() != "pg" ||
		task.GetStatus().GetState() != warrenv1.TaskState_TASK_STATE_PENDING {
		t.Errorf("the task: %v", task)
	}
	if v := task.GetVolumes(); len(v) != 2 || v[0].GetVolumeId() != "vol-data-1" || v[0].GetPath() != "/data" || !v[0].GetReadOnly() || !v[0].GetNoCopy() || v[1].GetVolumeId() != "" {
		t.Errorf("its volumes: %v", v)
	}
	s := task.GetSecrets()
	if len(s) != 3 || s[0].GetVersion() != 3 || s[0].GetSize() != 9 || len(s[0].GetKeys()) != 2 || s[0].GetTarget() != "pw" || s[1].GetTarget() != "pg/pw" || s[2].GetSecretId() != "" {
		t.Errorf("its secrets: %v", s)
	}
}

func TestATaskThatWasNeverPlacedStopsAtOnce(t *testing.T) {
	h := newHouse(t)
	h.service("web", 2)
	h.settle("web")
	placed := h.tasks("web")[0]
	placed.NodeId = "n1"
	h.update(func(tx *store.Tx) error { return tx.Tasks().Put(placed) })
	h.service("web", 2, func(s *warrenv1.Service) { s.Stopped = true })
	h.settle("web")
	for _, task := range h.tasks("web") {
		over := spec.Terminal(task.GetStatus().GetState())
		if task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_STOPPED || over != (task.GetNodeId() == "") {
			t.Errorf("%v", task)
		}
	}
	// Started again: the slot that is free is filled, the other one waits.
	h.service("web", 2)
	h.settle("web")
	tasks := h.tasks("web")
	if len(tasks) != 3 {
		t.Fatalf("tasks: %v", tasks)
	}
	for _, task := range tasks {
		if task.GetSlot() != placed.GetSlot() && task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_RUNNING && task.GetIncarnation() != 2 {
			t.Errorf("the next task: %v", task)
		}
	}
}

func TestALargeServiceTakesSeveralTransactions(t *testing.T) {
	h := newHouse(t)
	large := func(s *warrenv1.Service) { s.Spec.Container.Args = []string{strings.Repeat("x", 10<<10)} }
	h.service("big", 120, large)
	if steps := h.settle("big"); steps < 4 {
		t.Errorf("1.2 MB of tasks were made in %d transactions", steps)
	}
	if n := len(h.tasks("big")); n != 120 {
		t.Errorf("%d tasks", n)
	}
	h.service("big", 500)
	h.settle("big")
	h.service("big", 500, func(s *warrenv1.Service) { s.DeletedAt = timestamppb.Now() })
	h.settle("big")
	if n := len(h.tasks("big")); n != 0 {
		t.Errorf("%d tasks are left of a deleted service", n)
	}
}

func TestADeletedServiceLeavesNoUse(t *testing.T) {
	h := newHouse(t)
	h.update(func(tx *store.Tx) error {
		for i, name := range []string{"mine", "ours"} {
			meta := &warrenv1.Meta{Id: "id-" + name, Name: name, Namespace: ns}
			if err := tx.Volumes().Create(&warrenv1.Volume{Meta: meta}); err != nil {
				return err
			}
			uses := []string{"svc-a", "svc-other"}[:i+1]
			if err := tx.Uses().Put(&storepb.Uses{ServiceIds: uses}, ns, meta.Id); err != nil {
				return err
			}
		}
		return nil
	})
	h.service("a", 0, func(s *warrenv1.Service) {
		s.DeletedAt = timestamppb.Now()
		s.Spec.Container.Volumes = []*warrenv1.VolumeMount{{Volume: "mine"}, {Volume: "ours"}, {Volume: "gone"}, {Volume: "mine"}}
	})
	h.settle("a")
	var left []string
	if err := h.store.View(t.Context(), func(tx *store.ReadTx) error {
		for key, uses := range tx.Uses().List() {
			left = append(left, fmt.Sprint(key.ID(), uses.GetServiceIds()))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(left); got != "[id-ours[svc-other]]" {
		t.Errorf("uses left: %s", got)
	}
}

// A secret that is deleted with --force goes out of the service's spec and of
// its tasks. An update that fails afterwards leads back to those tasks: they
// are not replaced by some that wait for the secret. When there is one of that
// name again, they are.
func TestARollbackKeepsTasksThatLostASecret(t *testing.T) {
	for name, again := range map[string]bool{"it is gone": false, "it was made again": true} {
		t.Run(name, func(t *testing.T) { rollBackWithoutSecret(t, again) })
	}
}

func rollBackWithoutSecret(t *testing.T, again bool) {
	h := newHouse(t)
	h.service("web", 1, func(s *warrenv1.Service) {
		s.Revision = 1
		s.Spec.Update = &warrenv1.UpdateRules{FailureAction: warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK, Monitor: durationpb.New(0)}
		s.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "gone"}}
	})
	h.settle("web")
	old := h.tasks("web")[0]
	h.update(func(tx *store.Tx) error {
		old.Container.Secrets, old.Secrets, old.NodeId, old.Status = nil, nil, "n1", nil // as secret delete --force does
		status := &warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_RUNNING, StateSince: timestamppb.Now()}
		service, err := tx.Services().Get(ns, "svc-web")
		if err != nil {
			return err
		}
		err = tx.KeepRevision(service)
		next := spec.PresentRevision(service)
		next.SpecVersion, next.Spec.Container.Image = 0, "broken"
		next.Spec.Container.Secrets = nil
		spec.Revise(service, next, time.Now())
		service.Rollout++
		return errors.Join(err, tx.Services().Put(service), tx.Tasks().Put(old), tx.TaskStatus().Put(status, ns, old.GetMeta().GetId()))
	})
	h.settle("web")
	h.update(func(tx *store.Tx) error {
		for key, task := range tx.Tasks().OfService(ns, "svc-web") {
			if task.GetMeta().GetId() != old.GetMeta().GetId() {
				return tx.TaskStatus().Put(&warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_BACKOFF, Message: "no such image"}, key.Parts()...)
			}
		}
		return nil
	})
	if again {
		h.update(func(tx *store.Tx) error {
			return tx.Secrets().Create(&warrenv1.Secret{
				Meta: &warrenv1.Meta{Id: "secret-gone-2", Name: "gone", Namespace: ns}, Versions: []*warrenv1.SecretVersion{{Number: 1}},
			})
		})
	}
	h.settle("web")
	made := 0
	for _, task := range h.tasks("web") {
		wanted := task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_RUNNING
		if task.GetMeta().GetId() == old.GetMeta().GetId() {
			if !wanted {
				t.Error("the task that runs is to stop before there is another")
			}
		} else if wanted {
			made += len(task.GetSecrets())
		}
	}
	if again != (made == 1) {
		t.Errorf("%d tasks with the secret", made)
	}
}
