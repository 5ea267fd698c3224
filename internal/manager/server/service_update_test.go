package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// updatable creates a service whose updates are quick, and waits until it runs.
func updatable(t *testing.T, c *cluster, a api, name string, replicas uint32, volumes ...string) *warrenv1.Service {
	t.Helper()
	r := serviceRequest(name, volumes...)
	r.Spec.Replicas = replicas
	r.Spec.Update = &warrenv1.UpdateRules{Monitor: durationpb.New(time.Millisecond)}
	created, err := a.CreateService(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	c.running(name, int(replicas))
	return created.GetService()
}

// change asks for an update of a service as it is now.
func change(a api, name string, how func(*warrenv1.UpdateServiceRequest)) (*warrenv1.UpdateServiceResponse, error) {
	s, err := a.GetService(ctx, ref(name))
	if err != nil {
		return nil, err
	}
	r := &warrenv1.UpdateServiceRequest{Ref: ref(name), Revision: s.GetRevision(), Spec: s.GetSpec(), Labels: s.GetMeta().GetLabels()}
	how(r)
	return a.UpdateService(ctx, r)
}

func image(name string) func(*warrenv1.UpdateServiceRequest) {
	return func(r *warrenv1.UpdateServiceRequest) { r.Spec.Container.Image = name }
}

// reaches watches a service until its update is in that state.
func reaches(t *testing.T, a api, name string, state warrenv1.UpdateState) *warrenv1.Service {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := a.WatchService(ctx, ref(name))
	if err != nil {
		t.Fatal(err)
	}
	for s := (*warrenv1.Service)(nil); ; {
		next, err := stream.Recv()
		if err != nil {
			t.Fatalf("%v; the update is %v", err, s.GetUpdate())
		}
		if s = next; s.GetUpdate().GetState() == state {
			return s
		}
	}
}

const (
	completed  = warrenv1.UpdateState_UPDATE_STATE_COMPLETED
	paused     = warrenv1.UpdateState_UPDATE_STATE_PAUSED
	rolledBack = warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK
)

func history(t *testing.T, a api, name string) string {
	t.Helper()
	list, err := a.ListRevisions(ctx, ref(name))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list.GetRevisions() {
		out = append(out, fmt.Sprintf("%d %s", r.GetRevision(), r.GetChange()))
	}
	return strings.Join(out, "; ")
}

func TestAnUpdateReplacesTheTasksAndIsRemembered(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	updatable(t, c, a, "web", 3)
	if _, err := change(a, "web", image("web:2")); err != nil {
		t.Fatal(err)
	}
	s := reaches(t, a, "web", completed)
	for _, task := range s.GetTasks() {
		if task.GetContainer().GetImage() != "web:2" && task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_RUNNING {
			t.Errorf("%s is of %s", task.GetMeta().GetName(), task.GetContainer().GetImage())
		}
	}
	if _, err := a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("web"), Replicas: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("web"), Replicas: 2}); err != nil {
		t.Fatal(err) // no change: no revision
	}
	if _, err := a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref("web"), Revision: 1}); err != nil {
		t.Fatal(err)
	}
	s = reaches(t, a, "web", completed)
	if c := s.GetSpec().GetContainer(); c.GetImage() != "postgres:15" || s.GetSpec().GetReplicas() != 3 {
		t.Errorf("rolled back to %v", s.GetSpec())
	}
	if got, want := history(t, a, "web"), "1 created; 2 image postgres:15 → web:2; 3 replicas 3 → 2; 4 rolled back to 1"; got != want {
		t.Errorf("the history is %q, want %q", got, want)
	}
}

func TestOnlySoManyEarlierSpecsAreKept(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	r := serviceRequest("web")
	r.Spec.Replicas, r.Spec.History = 0, proto.Uint32(2)
	if _, err := a.CreateService(ctx, r); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, err := change(a, "web", image(fmt.Sprint("web:", i))); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := history(t, a, "web"), "3 image web:0 → web:1; 4 image web:1 → web:2; 5 image web:2 → web:3"; got != want {
		t.Errorf("the history is %q, want %q", got, want)
	}
	if _, err := a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("web")}); err != nil {
		t.Fatal(err)
	}
	c.view(func(tx *store.ReadTx) error {
		for key := range tx.ServiceRevisions().Keys() {
			t.Errorf("revision %s is left of a deleted service", key)
		}
		for key := range tx.ServiceUpdates().Keys() {
			t.Errorf("update %s is left of a deleted service", key)
		}
		return nil
	})
}

func TestAFailedUpdateDoesWhatItsRulesSay(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{crash: "web:bad"})
	a := c.admin()
	updatable(t, c, a, "web", 2)
	if _, err := change(a, "web", image("web:bad")); err != nil {
		t.Fatal(err)
	}
	s := reaches(t, a, "web", paused)
	if s.GetUpdate().GetMessage() != "web-task-1: exited with code 1" || s.GetRunning() != 2 {
		t.Errorf("%v; %d tasks run", s.GetUpdate(), s.GetRunning())
	}
	if !strings.Contains(strings.Join(s.GetWarnings(), "\n"), "the update is paused") {
		t.Errorf("warnings: %q", s.GetWarnings())
	}
	if _, err := a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref("web")}); err != nil {
		t.Fatal(err)
	}
	reaches(t, a, "web", completed)
	if _, err := change(a, "web", func(r *warrenv1.UpdateServiceRequest) {
		r.Spec.Container.Image = "web:bad"
		r.Spec.Update.FailureAction = warrenv1.FailureAction_FAILURE_ACTION_ROLLBACK
	}); err != nil {
		t.Fatal(err)
	}
	s = reaches(t, a, "web", rolledBack)
	if s.GetSpec().GetContainer().GetImage() != "postgres:15" || s.GetRunning() != 2 {
		t.Errorf("after the rollback: %v, %d tasks run", s.GetSpec(), s.GetRunning())
	}
	// A name means the slot's task that stays.
	task, err := a.GetTask(ctx, ref("web-task-1"))
	if err != nil || task.GetStatus().GetState() != warrenv1.TaskState_TASK_STATE_RUNNING {
		t.Errorf("web-task-1 is %v, %v", task.GetStatus(), err)
	}
}

// What the earlier spec used can be deleted once nothing leads back to it.
func TestWhatAnUpdateDropsIsUsedUntilItIsOver(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{crash: "web:bad"})
	a := c.admin()
	updatable(t, c, a, "web", 1, "data")
	drop := func(image string) func(r *warrenv1.UpdateServiceRequest) {
		return func(r *warrenv1.UpdateServiceRequest) {
			r.Spec.Container.Image, r.Spec.Container.Volumes = image, nil
		}
	}
	if _, err := change(a, "web", drop("web:bad")); err != nil {
		t.Fatal(err)
	}
	reaches(t, a, "web", paused)
	_, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")})
	wantError(t, err, codes.FailedPrecondition, "web (service)")
	if _, err := change(a, "web", drop("web:good")); err != nil {
		t.Fatal(err)
	}
	reaches(t, a, "web", completed)
	c.until("the volume is released", func(tx *store.ReadTx) bool {
		for range tx.Attachments().List() {
			return false
		}
		return true
	})
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
		t.Fatal(err)
	}
	// Its data is gone: nothing empty takes its place.
	_, err = a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref("web"), Revision: 1})
	wantError(t, err, codes.FailedPrecondition, `volume "data" does not exist any more`)
}

func TestAnUpdateMayNameANewVolume(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	updatable(t, c, a, "web", 1)
	if _, err := change(a, "web", func(r *warrenv1.UpdateServiceRequest) {
		r.Spec.Container.Volumes = []*warrenv1.VolumeMount{{Volume: "fresh", Path: "/fresh"}}
	}); err != nil {
		t.Fatal(err)
	}
	reaches(t, a, "web", completed)
	v, err := a.GetVolume(ctx, ref("fresh"))
	if err != nil || len(v.GetUsedBy()) == 0 {
		t.Errorf("got %v, %v", v, err)
	}
}

func TestUpdatesThatAreRefused(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	updatable(t, c, a, "web", 1)
	rollback := func(name string, to uint64) error {
		_, err := a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref(name), Revision: to})
		return err
	}
	update := func(how func(*warrenv1.UpdateServiceRequest)) error {
		_, err := change(a, "web", how)
		return err
	}
	wantError(t, rollback("nothing", 0), codes.NotFound, "does not exist")
	wantError(t, rollback("web", 0), codes.FailedPrecondition, "was never changed")
	wantError(t, rollback("web", 1), codes.FailedPrecondition, "is at revision 1 already")
	if err := update(image("web:2")); err != nil {
		t.Fatal(err)
	}
	wantError(t, rollback("web", 7), codes.NotFound, `service "web" has no revision 7; it can go back to 1`)
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) { r.Revision = 1; image("web:3")(r) }), codes.FailedPrecondition, "changed by somebody else")
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) { r.Spec = nil }), codes.InvalidArgument, "says nothing")
	wantError(t, update(image("no image!")), codes.InvalidArgument, "not a valid name")
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) { r.Labels = map[string]string{"": "x"} }), codes.InvalidArgument, "label")
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) { r.Spec.History = proto.Uint32(0) }), codes.InvalidArgument, "between 1 and 100")
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) { r.Spec.Update.Delay = durationpb.New(-1) }), codes.InvalidArgument, "update delay")
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) { r.Spec.Update.Order = 9 }), codes.InvalidArgument, "order 9")
	wantError(t, update(func(r *warrenv1.UpdateServiceRequest) {
		r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "one"}, {Secret: "two"}}
	}), codes.NotFound, `secrets "one", "two" do not exist`)
	if got, want := history(t, a, "web"), "1 created; 2 image postgres:15 → web:2"; got != want {
		t.Errorf("after all the refusals the history is %q, want %q", got, want)
	}
	_, err := a.UpdateService(ctx, &warrenv1.UpdateServiceRequest{Ref: ref("nothing"), Spec: serviceRequest("x").GetSpec()})
	wantError(t, err, codes.NotFound, "does not exist")
	_, err = a.ListRevisions(ctx, ref("nothing"))
	wantError(t, err, codes.NotFound, "does not exist")
}
