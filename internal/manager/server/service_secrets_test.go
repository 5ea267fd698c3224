package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// withSecretOn creates a secret and a service of three tasks that has it.
func withSecretOn(t *testing.T, w *worker, onChange warrenv1.OnChange) (*cluster, api) {
	t.Helper()
	c := newCluster(t)
	c.addWorker("worker-1", w)
	a := c.admin()
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("db", "one")))
	r := serviceRequest("api")
	r.Spec.Replicas = 3
	r.Spec.Update = &warrenv1.UpdateRules{Monitor: durationpb.New(time.Millisecond)}
	mount := &warrenv1.SecretMount{Secret: "db", OnChange: onChange}
	if onChange == warrenv1.OnChange_ON_CHANGE_SIGNAL {
		mount.Signal = "SIGHUP"
	}
	r.Spec.Container.Secrets = []*warrenv1.SecretMount{mount}
	must[*warrenv1.CreateServiceResponse](t)(a.CreateService(ctx, r))
	c.running("api", 3)
	return c, a
}

func (c *cluster) publish(a api, value string) {
	c.t.Helper()
	must[*warrenv1.UpdateSecretResponse](c.t)(a.UpdateSecret(ctx, c.newVersion("db", value)))
}

// pinned waits until all tasks that shall run have that version, and returns
// them.
func (c *cluster) pinned(version uint64) (tasks []*warrenv1.Task) {
	c.t.Helper()
	c.until("tasks with the version", func(tx *store.ReadTx) bool {
		tasks = nil
		for key, t := range tx.Tasks().List() {
			status, _ := tx.TaskStatus().Get(key.Parts()...)
			if t.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_RUNNING && t.GetSecrets()[0].GetVersion() == version && spec.Up(status) {
				tasks = append(tasks, t)
			}
		}
		return len(tasks) == 3
	})
	return tasks
}

func TestTasksFollowASecretWhileTheyRun(t *testing.T) {
	for _, on := range []warrenv1.OnChange{warrenv1.OnChange_ON_CHANGE_UPDATE, warrenv1.OnChange_ON_CHANGE_SIGNAL} {
		c, a := withSecretOn(t, &worker{}, on)
		before := map[string]bool{}
		for _, task := range c.pinned(1) {
			before[task.GetMeta().GetId()] = true
		}
		c.publish(a, "two")
		for _, task := range c.pinned(2) {
			if !before[task.GetMeta().GetId()] {
				t.Errorf("%v: task %s was made anew", on, task.GetMeta().GetName())
			}
			if signal := task.GetSecrets()[0].GetSignal(); (signal == "SIGHUP") != (on == warrenv1.OnChange_ON_CHANGE_SIGNAL) {
				t.Errorf("%v: signal %q", on, signal)
			}
		}
		if s := must[*warrenv1.Service](t)(a.GetService(ctx, ref("api"))); s.GetRevision() != 1 {
			t.Errorf("%v: the service has revision %d", on, s.GetRevision())
		}
	}
}

func TestTasksKeepTheirVersionUntilTheyAreMadeAnew(t *testing.T) {
	c, a := withSecretOn(t, &worker{}, warrenv1.OnChange_ON_CHANGE_NONE)
	c.publish(a, "two")
	must[*warrenv1.Service](t)(a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("api"), Replicas: 4}))
	c.running("api", 4)
	c.pinned(1)
	must[*warrenv1.UpdateServiceResponse](t)(change(a, "api", func(r *warrenv1.UpdateServiceRequest) { r.ForceRecreate, r.Spec.Replicas = true, 3 }))
	c.pinned(2)
}

func TestTasksAreReplacedForANewVersion(t *testing.T) {
	c, a := withSecretOn(t, &worker{}, warrenv1.OnChange_ON_CHANGE_RESTART)
	c.publish(a, "two")
	c.pinned(2)
	s := reaches(t, a, "api", completed)
	if s.GetRevision() != 2 || s.GetChange() != "secret db 1 → 2" {
		t.Errorf("revision %d: %q", s.GetRevision(), s.GetChange())
	}
	// What a person rolls back stays so until there is a newer version.
	must[*warrenv1.UpdateServiceResponse](t)(a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref("api")}))
	c.pinned(1)
	c.publish(a, "three")
	c.pinned(3)
	// And any other update brings the newest too.
	must[*warrenv1.UpdateServiceResponse](t)(a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref("api"), Revision: 1}))
	c.pinned(1)
	must[*warrenv1.UpdateServiceResponse](t)(change(a, "api", image("busybox:2")))
	c.pinned(3)
}

func TestABadVersionIsRolledBackAndNotTriedAgain(t *testing.T) {
	w := &worker{badVersion: 2}
	c, a := withSecretOn(t, w, warrenv1.OnChange_ON_CHANGE_RESTART)
	c.publish(a, "bad")
	reaches(t, a, "api", rolledBack)
	c.pinned(1)
	// It was the first task that failed, and no other was touched.
	made := 0
	c.view(func(tx *store.ReadTx) error {
		for range tx.Tasks().List() {
			made++
		}
		return nil
	})
	if made != 4 {
		t.Errorf("%d tasks were made", made)
	}
	if s := must[*warrenv1.Service](t)(a.GetService(ctx, ref("api"))); s.GetRevision() != 3 || !strings.Contains(strings.Join(s.GetWarnings(), "\n"), "keep version 1 of secret db: with version 2 they did not come up") {
		t.Errorf("revision %d, warnings %q", s.GetRevision(), s.GetWarnings())
	}
	// The version that failed is one that a kept spec names: it stays.
	p := must[*warrenv1.PruneSecretResponse](t)(a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("db"), Keep: 1}))
	if numbers(p.GetSecret()) != "[1 2]" {
		t.Errorf("versions %s", numbers(p.GetSecret()))
	}
	c.publish(a, "good")
	c.pinned(3)
}

func TestAServiceMayStayAtAVersion(t *testing.T) {
	c, a := withSecretOn(t, &worker{}, warrenv1.OnChange_ON_CHANGE_NONE)
	c.publish(a, "two")
	c.publish(a, "three")
	version := func(number uint64) (*warrenv1.UpdateServiceResponse, error) {
		return change(a, "api", func(r *warrenv1.UpdateServiceRequest) { r.Spec.Container.Secrets[0].Version = number })
	}
	must[*warrenv1.UpdateServiceResponse](t)(version(2))
	c.pinned(2)
	_, err := version(9)
	wantError(t, err, codes.NotFound, `secret "db" has no version 9`)
	must[*warrenv1.UpdateServiceResponse](t)(version(0))
	c.pinned(3)
	// The kept spec still names it.
	p := must[*warrenv1.PruneSecretResponse](t)(a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("db"), Keep: 1}))
	if got := numbers(p.GetSecret()); !strings.HasSuffix(got, "2 3]") {
		t.Errorf("versions %s", got)
	}
}
