package server_test

import (
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

func serviceRequest(name string, volumes ...string) *warrenv1.CreateServiceRequest {
	container := &warrenv1.ContainerSpec{Image: "postgres:15", StopTimeout: durationpb.New(0)}
	for _, v := range volumes {
		container.Volumes = append(container.Volumes, &warrenv1.VolumeMount{Volume: v, Path: "/" + v})
	}
	return &warrenv1.CreateServiceRequest{Name: name, Spec: &warrenv1.ServiceSpec{Replicas: 1, Container: container}}
}

// createService creates a service and waits until it runs.
func createService(t *testing.T, c *cluster, a api, name string, volumes ...string) *warrenv1.Service {
	t.Helper()
	created, err := a.CreateService(ctx, serviceRequest(name, volumes...))
	if err != nil {
		t.Fatal(err)
	}
	c.running(name, 1)
	return created.GetService()
}

// running waits until that many tasks of a service run.
func (c *cluster) running(service string, want int) {
	c.t.Helper()
	c.until(service+" runs", func(tx *store.ReadTx) bool {
		s, err := tx.Services().ByName("", service)
		if err != nil {
			return false
		}
		running := 0
		for key := range tx.Tasks().OfService("default", s.GetMeta().GetId()) {
			status, err := tx.TaskStatus().Get(key.Parts()...)
			if err == nil && status.GetState() == warrenv1.TaskState_TASK_STATE_RUNNING {
				running++
			}
		}
		return running == want
	})
}

func TestAServiceRunsAndMakesItsVolumes(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "postgres", "db-data")
	s, err := a.GetService(ctx, ref("postgres"))
	if err != nil || s.GetRunning() != 1 || len(s.GetTasks()) != 1 || len(s.GetWarnings()) != 0 {
		t.Fatalf("got %v, %v", s, err)
	}
	if task := s.GetTasks()[0]; task.GetMeta().GetName() != "postgres-task-1" || task.GetNodeName() != "worker-1" {
		t.Errorf("got %v", task)
	}
	v, err := a.GetVolume(ctx, ref("db-data"))
	if err != nil || v.GetSpec().GetDriver() != "local" || len(v.GetUsedBy()) != 2 {
		t.Fatalf("got %v, %v", v, err)
	}
	if s, task := v.GetUsedBy()[0], v.GetUsedBy()[1]; s.GetName() != "postgres" || s.GetKind() != "service" ||
		task.GetName() != "postgres-task-1" || task.GetKind() != "task" {
		t.Errorf("used by %v", v.GetUsedBy())
	}
	list, err := a.ListServices(ctx, nil)
	if err != nil || len(list.GetServices()) != 1 || list.GetServices()[0].GetRunning() != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestServicesThatAreRefused(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	_, err := a.CreateService(ctx, &warrenv1.CreateServiceRequest{Name: "app"})
	wantError(t, err, codes.InvalidArgument, "names no image")
	r := serviceRequest("app", "data")
	r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "tls-key"}, {Secret: "api-key"}}
	_, err = a.CreateService(ctx, r)
	wantError(t, err, codes.NotFound, `secrets "tls-key", "api-key" do not exist`)
	_, err = a.GetVolume(ctx, ref("data"))
	wantError(t, err, codes.NotFound, "does not exist") // nothing half-done

	if _, err := a.CreateService(ctx, serviceRequest("app")); err != nil {
		t.Fatal(err)
	}
	_, err = a.CreateService(ctx, serviceRequest("app"))
	wantError(t, err, codes.AlreadyExists, `service "app" already exists`)
	_, err = a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("app"), Replicas: 10001})
	wantError(t, err, codes.InvalidArgument, "limit is 10000")
	_, err = a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("other"), Replicas: 1})
	wantError(t, err, codes.NotFound, `service "other" does not exist`)
}

func TestAServiceSaysWhyItWaits(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	r := serviceRequest("app", "data")
	r.Spec.Replicas = 2
	created, err := a.CreateService(ctx, r)
	if err != nil || !strings.Contains(strings.Join(created.GetWarnings(), "\n"), "share the local volume data") {
		t.Fatalf("got %v, %v", created, err)
	}
	c.until("the scheduler has looked", func(tx *store.ReadTx) bool {
		for _, status := range tx.TaskStatus().List() {
			if status.GetMessage() != "" {
				return true
			}
		}
		return false
	})
	s, err := a.GetService(ctx, ref("app"))
	if err != nil || !strings.Contains(strings.Join(s.GetWarnings(), "\n"), "app-task-1 (pending): ") {
		t.Errorf("got %v, %v", s.GetWarnings(), err)
	}
}

func TestStopStartScale(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "app", "data")
	s, err := a.StopService(ctx, &warrenv1.StopServiceRequest{Ref: ref("app")})
	if err != nil || !s.GetStopped() || s.GetStoppedReason() != "stopped by alice" || s.GetRunning() != 0 || len(s.GetWarnings()) != 0 {
		t.Fatalf("got %v, %v", s, err)
	}
	if _, err := a.StartService(ctx, &warrenv1.StartServiceRequest{Ref: ref("app")}); err != nil {
		t.Fatal(err)
	}
	c.running("app", 1)
	s, err = a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("app"), Replicas: 3})
	if err != nil || s.GetSpec().GetReplicas() != 3 || len(s.GetWarnings()) == 0 {
		t.Fatalf("got %v, %v", s, err)
	}
	c.running("app", 3)
	all, err := a.ListTasks(ctx, &warrenv1.ListTasksRequest{Service: "app", All: true})
	if err != nil || len(all.GetTasks()) != 4 {
		t.Errorf("got %d tasks, %v", len(all.GetTasks()), err)
	}
	live, err := a.ListTasks(ctx, &warrenv1.ListTasksRequest{})
	if err != nil || len(live.GetTasks()) != 3 || live.GetTasks()[0].GetIncarnation() != 2 {
		t.Errorf("got %v, %v", live, err)
	}
	_, err = a.ListTasks(ctx, &warrenv1.ListTasksRequest{Service: "other"})
	wantError(t, err, codes.NotFound, "does not exist")
}

func TestAServiceIsGoneWhenDeleteReturns(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "app", "data")
	if _, err := a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("app")}); err != nil {
		t.Fatal(err)
	}
	_, err := a.GetService(ctx, ref("app"))
	wantError(t, err, codes.NotFound, "does not exist")
	v, err := a.GetVolume(ctx, ref("data"))
	if err != nil || len(v.GetUsedBy()) != 0 {
		t.Errorf("the volume stays, unused: %v, %v", v, err)
	}
}

func TestDeletingAServiceSaysWhatItWaitsFor(t *testing.T) {
	c := newImpatientCluster(t)
	c.addWorker("worker-1", &worker{stubborn: true})
	a := c.admin()
	createService(t, c, a, "app", "data")
	s, err := a.StopService(ctx, &warrenv1.StopServiceRequest{Ref: ref("app")})
	if err != nil || strings.Join(s.GetWarnings(), "") != "app-task-1 has not stopped yet" {
		t.Errorf("got %v, %v", s.GetWarnings(), err)
	}
	_, err = a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("app")})
	wantError(t, err, codes.Unavailable, "task app-task-1 on node worker-1 is running")
	for _, change := range []func() error{
		func() error {
			_, err := a.StartService(ctx, &warrenv1.StartServiceRequest{Ref: ref("app")})
			return err
		},
		func() error {
			_, err := a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("app"), Replicas: 2})
			return err
		},
	} {
		wantError(t, change(), codes.FailedPrecondition, `service "app" is being deleted`)
	}
	_, err = a.CreateService(ctx, serviceRequest("app"))
	wantError(t, err, codes.Unavailable, "is being deleted, and that has not ended yet; task app-task-1 on node worker-1 is running")
}

// A new service of a name waits for the old one's last task.
func TestANewServiceWaitsForTheOldOne(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	old := createService(t, c, a, "app", "data")
	if _, err := a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("app"), Detach: true}); err != nil {
		t.Fatal(err)
	}
	created, err := a.CreateService(ctx, serviceRequest("app", "data"))
	if err != nil {
		t.Fatal(err)
	}
	if created.GetService().GetMeta().GetId() == old.GetMeta().GetId() {
		t.Error("the old service was returned")
	}
	c.running("app", 1)
}

// Whoever wins, no service is left naming a volume that is gone without being
// stopped, and no volume goes that a service runs on.
func TestCreatingAndDeletingAtOnce(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	for range 10 {
		if _, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data"}); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		var deleted, created error
		both.Go(func() { _, deleted = a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}) })
		both.Go(func() { _, created = a.CreateService(ctx, serviceRequest("app", "data")) })
		both.Wait()
		if created != nil {
			t.Fatal(created)
		}
		if deleted != nil {
			wantError(t, deleted, codes.FailedPrecondition, "app (service)")
		}
		v, err := a.GetVolume(ctx, ref("data"))
		if err != nil || len(v.GetUsedBy()) == 0 || v.GetDeletedAt() != nil {
			t.Fatalf("the service has no volume: %v, %v (deletion: %v)", v, err, deleted)
		}
		if _, err := a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("app")}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
			t.Fatal(err)
		}
	}
}
