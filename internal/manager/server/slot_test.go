package server_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// mounted lists the volumes that the service's running tasks have, in the order
// of their slots.
func (c *cluster) mounted(service string) (names []string) {
	c.t.Helper()
	c.view(func(tx *store.ReadTx) error {
		s, err := tx.Services().ByName("", service)
		if err != nil {
			return err
		}
		var tasks []*warrenv1.Task
		for key, task := range tx.Tasks().OfService("default", s.GetMeta().GetId()) {
			if status, _ := tx.TaskStatus().Get(key.Parts()...); status.GetState() == warrenv1.TaskState_TASK_STATE_RUNNING {
				tasks = append(tasks, task)
			}
		}
		slices.SortFunc(tasks, func(a, b *warrenv1.Task) int { return int(a.GetSlot()) - int(b.GetSlot()) })
		for _, task := range tasks {
			for _, pin := range task.GetVolumes() {
				names = append(names, pin.GetVolume()+"@"+pin.GetVolumeId())
			}
		}
		return nil
	})
	return names
}

func TestEachSlotHasItsOwnVolume(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	byHand := create(t, a, "app-data-1")
	r := serviceRequest("app", "app-data-{{.Slot}}")
	r.Spec.Replicas = 2
	if _, err := a.CreateService(ctx, r); err != nil {
		t.Fatal(err)
	}
	c.running("app", 2)
	two := c.mounted("app")
	if len(two) != 2 || two[0] != "app-data-1@"+byHand.GetMeta().GetId() {
		t.Fatalf("got %v; the one made by hand is %s", two, byHand.GetMeta().GetId())
	}
	scale := func(n uint32) {
		t.Helper()
		if _, err := a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("app"), Replicas: n}); err != nil {
			t.Fatal(err)
		}
		c.running("app", int(n))
	}
	scale(3)
	three := c.mounted("app")
	if len(three) != 3 || !slices.Equal(three[:2], two) {
		t.Fatalf("scaled up: %v, before %v", three, two)
	}
	_, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("app-data-3")})
	wantError(t, err, codes.FailedPrecondition, "app (service)")

	// Scaling down keeps them, unused; scaling up takes them again.
	scale(1)
	c.until("the others are released", func(tx *store.ReadTx) bool {
		list, err := a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Unused: true})
		return err == nil && len(list.GetVolumes()) == 2
	})
	scale(3)
	if again := c.mounted("app"); !slices.Equal(again, three) {
		t.Errorf("scaled up again: %v, before %v", again, three)
	}
	scale(2)
	c.until("it is released", func(tx *store.ReadTx) bool {
		list, err := a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Unused: true, Node: "worker-1"})
		return err == nil && len(list.GetVolumes()) == 1
	})
	if _, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("app-data-3")}); err != nil {
		t.Error(err)
	}
	_, err = a.ListVolumes(ctx, &warrenv1.ListVolumesRequest{Node: "worker-9"})
	wantError(t, err, codes.NotFound, "worker-9")
}
