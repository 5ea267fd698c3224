package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

func TestAVolumeOnALostNodeIsGivenUpByForceOnly(t *testing.T) {
	c := newCluster(t)
	w := c.addWorker("worker-1", &worker{stubborn: true})
	a := c.admin()
	create(t, a, "unused")
	createService(t, c, a, "db", "data")
	c.update(func(tx *store.Tx) error {
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{NodeId: w.id, State: warrenv1.NodeState_NODE_STATE_DOWN}, w.id)
	})

	_, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data")})
	wantError(t, err, codes.FailedPrecondition, "in use by db (service)")
	_, err = a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("unused")})
	if hint := wantError(t, err, codes.FailedPrecondition, "is on node worker-1, which is down"); !strings.Contains(hint, "--force") {
		t.Errorf("hint %q", hint)
	}

	r, err := a.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: ref("data"), Force: true})
	if err != nil || len(r.GetStoppedServices()) != 1 {
		t.Fatalf("stopped %v, %v", r.GetStoppedServices(), err)
	}
	// Its node is told of it for as long as it has the copy.
	c.view(func(tx *store.ReadTx) error {
		volume, err := tx.Volumes().Get("default", r.GetVolume().GetMeta().GetId())
		if err != nil || volume.GetNodeId() != w.id || volume.GetDeletedAt() == nil || volume.GetTrashedAt() == nil {
			t.Errorf("the volume is %v, %v", volume, err)
		}
		for range tx.Attachments().OfVolume("default", volume.GetMeta().GetId()) {
			t.Error("it is held still")
		}
		return nil
	})
	_, err = a.GetVolume(ctx, ref("data"))
	wantError(t, err, codes.NotFound, "does not exist")
	if got := inTrash(t, a); len(got) != 1 {
		t.Errorf("in the trash: %v", got)
	}
}
