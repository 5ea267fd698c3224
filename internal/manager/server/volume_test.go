package server_test

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/store"
)

var ctx = context.Background()

func ref(name string) *warrenv1.Ref { return &warrenv1.Ref{NameOrId: name} }

// wantError fails unless err has that code and says that; it returns the hint.
func wantError(t *testing.T, err error, code codes.Code, says string) string {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code || !strings.Contains(st.Message(), says) {
		t.Fatalf("got %v: %q, want %v: …%s…", st.Code(), st.Message(), code, says)
	}
	for _, d := range st.Details() {
		if d, ok := d.(*warrenv1.ErrorDetail); ok {
			return d.GetHint()
		}
	}
	return ""
}

func TestAVolumeIsThereWhenCreateReturns(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	v, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "db-data", Labels: map[string]string{"env": "production"}})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^vol-db-data-[a-z0-9]{6}$`).MatchString(v.GetMeta().GetId()) {
		t.Errorf("ID %q", v.GetMeta().GetId())
	}
	if v.GetNodeName() != "worker-1" || v.GetStatus().GetMountPoint() != "/volumes/db-data" ||
		v.GetStatus().GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_READY {
		t.Errorf("got %v", v)
	}
	byID, err := a.GetVolume(ctx, ref(v.GetMeta().GetId()))
	if err != nil || byID.GetMeta().GetName() != "db-data" {
		t.Errorf("by ID: %v, %v", byID, err)
	}
	for filter, want := range map[string]int{"env": 1, "env=production": 1, "env=test": 0} {
		list, err := a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Filter: &warrenv1.Filter{Labels: []string{filter}}})
		if err != nil || len(list.GetVolumes()) != want {
			t.Errorf("filter %s: %v, %v", filter, list, err)
		}
	}
}

func TestVolumesThatCannotBeCreated(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	_, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "Data"})
	if hint := wantError(t, err, codes.InvalidArgument, "not valid"); !strings.Contains(hint, `"data"`) {
		t.Errorf("hint %q", hint)
	}
	_, err = a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data", Spec: &warrenv1.VolumeSpec{Driver: "locl"}})
	wantError(t, err, codes.InvalidArgument, `driver "locl" is not known`)

	c.addWorker("worker-1", &worker{})
	v, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data"})
	wantError(t, err, codes.AlreadyExists, `volume "data" already exists`)
	_, err = a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: v.GetMeta().GetId()})
	wantError(t, err, codes.AlreadyExists, "already means another volume")
	for _, name := range []string{"", "other", v.GetMeta().GetId()[:8], "a/b"} {
		if _, err := a.GetVolume(ctx, ref(name)); err == nil {
			t.Errorf("volume %q was found", name)
		}
	}
	_, err = a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Filter: &warrenv1.Filter{Namespace: "warren"}})
	wantError(t, err, codes.InvalidArgument, "reserved")
	_, err = a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Filter: &warrenv1.Filter{Labels: []string{"=x"}}})
	wantError(t, err, codes.InvalidArgument, "empty key")
}

// Nothing half-done stays behind.
func TestAVolumeThatDoesNotBecomeReadyIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		worker *worker
		want   string
	}{
		"no node":        {nil, "the cluster has no worker"},
		"node fails":     {&worker{failVolumes: "mkdir /volumes/data: permission denied"}, "permission denied"},
		"node is silent": {&worker{deaf: true}, "node worker-1 did not make it in time"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newImpatientCluster(t)
			if c.worker != nil {
				cl.addWorker("worker-1", c.worker)
			}
			a := cl.admin()
			_, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data"})
			wantError(t, err, codes.Unavailable, c.want)
			if c.worker != nil && c.worker.deaf {
				v, err := a.GetVolume(ctx, ref("data"))
				if err != nil || v.GetDeletedAt() == nil {
					t.Errorf("the silent node must be told to remove it: %v, %v", v, err)
				}
				return
			}
			cl.until("the volume is gone", func(tx *store.ReadTx) bool {
				_, err := tx.Volumes().ByName("", "data")
				return err != nil
			})
		})
	}
}

func TestAVolumeIsDeleted(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	if _, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
		t.Fatal(err)
	}
	_, err := a.GetVolume(ctx, ref("data"))
	wantError(t, err, codes.NotFound, `volume "data" does not exist`)
	_, err = a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")})
	wantError(t, err, codes.NotFound, "does not exist")
}

func TestAVolumeInUseIsDeletedByForceOnly(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "postgres", "db-data")
	_, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("db-data")})
	hint := wantError(t, err, codes.FailedPrecondition, `in use by postgres (service), postgres-task-1 (task)`)
	if hint != "warren volume delete db-data --force" {
		t.Errorf("hint %q", hint)
	}

	gone, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("db-data"), Force: true})
	if err != nil || len(gone.GetStoppedServices()) != 1 || gone.GetStoppedServices()[0] != "postgres" {
		t.Fatalf("got %v, %v", gone, err)
	}
	s, err := a.GetService(ctx, ref("postgres"))
	if err != nil || !s.GetStopped() || s.GetStoppedReason() != "volume db-data was deleted with --force by alice" {
		t.Errorf("got %v, %v", s, err)
	}
	if tasks := s.GetTasks(); len(tasks) != 1 || tasks[0].GetStatus().GetExitCode() != 143 {
		t.Errorf("the last task's end is not shown: %v", tasks)
	}

	// It is never given an empty one.
	_, err = a.StartService(ctx, &warrenv1.StartServiceRequest{Ref: ref("postgres")})
	wantError(t, err, codes.FailedPrecondition, `volume "db-data" does not exist any more`)
	if _, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "db-data"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.StartService(ctx, &warrenv1.StartServiceRequest{Ref: ref("postgres")}); err != nil {
		t.Fatal(err)
	}
	_, err = a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("db-data")})
	wantError(t, err, codes.FailedPrecondition, "postgres (service)")
}

func TestForceWaitsForTasksToStop(t *testing.T) {
	c := newImpatientCluster(t)
	c.addWorker("worker-1", &worker{stubborn: true})
	a := c.admin()
	createService(t, c, a, "postgres", "db-data")
	_, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("db-data"), Force: true})
	wantError(t, err, codes.FailedPrecondition, "task postgres-task-1 has not stopped")
	v, err := a.GetVolume(ctx, ref("db-data"))
	if err != nil || v.GetDeletedAt() != nil {
		t.Errorf("the volume of a running task was marked: %v, %v", v, err)
	}
}

func TestARetriedRequestIsDoneOnce(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	once := metadata.AppendToOutgoingContext(ctx, server.RequestIDHeader, "0123456789abcdef")
	first, err := a.CreateVolume(once, &warrenv1.CreateVolumeRequest{Name: "data"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.CreateVolume(once, &warrenv1.CreateVolumeRequest{Name: "data"})
	if err != nil || again.GetMeta().GetId() != first.GetMeta().GetId() {
		t.Fatalf("got %v, %v", again, err)
	}
	for range 2 {
		if _, err := a.DeleteVolume(once, &warrenv1.DeleteVolumeRequest{Ref: ref("data")}); err != nil {
			t.Fatal(err)
		}
	}

	// Somebody else's request with the same ID is another request.
	other := warrenv1.NewVolumesClient(c.dial("bob", warrenv1.Role_ROLE_ADMIN))
	if _, err := other.CreateVolume(once, &warrenv1.CreateVolumeRequest{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	_, err = a.CreateVolume(metadata.AppendToOutgoingContext(ctx, server.RequestIDHeader, strings.Repeat("x", 129)),
		&warrenv1.CreateVolumeRequest{Name: "data2"})
	wantError(t, err, codes.InvalidArgument, "at most 128 bytes")
}

// A request that failed is no request that was done.
func TestAFailedRequestMayBeTriedAgain(t *testing.T) {
	c := newImpatientCluster(t)
	a := c.admin()
	once := metadata.AppendToOutgoingContext(ctx, server.RequestIDHeader, "0123456789abcdef")
	_, err := a.CreateVolume(once, &warrenv1.CreateVolumeRequest{Name: "data"})
	wantError(t, err, codes.Unavailable, "was not created")
	c.addWorker("worker-1", &worker{})
	if v, err := a.CreateVolume(once, &warrenv1.CreateVolumeRequest{Name: "data"}); err != nil || v.GetNodeName() != "worker-1" {
		t.Fatalf("got %v, %v", v, err)
	}
}

// What the caller walked away from, and no node has taken up, is not kept.
func TestALonelyVolumeGoesWithItsCaller(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	gone, leave := context.WithCancel(ctx)
	var call sync.WaitGroup
	call.Go(func() {
		_, err := a.CreateVolume(gone, &warrenv1.CreateVolumeRequest{Name: "data"})
		if status.Code(err) != codes.Canceled {
			t.Errorf("got %v", err)
		}
	})
	named := func(tx *store.ReadTx) bool { _, err := tx.Volumes().ByName("", "data"); return err == nil }
	c.until("the volume is asked for", named)
	leave()
	call.Wait()
	c.until("it is gone", func(tx *store.ReadTx) bool { return !named(tx) })
}
