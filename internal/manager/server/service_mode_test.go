package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

func globalRequest(name string, volumes ...string) *warrenv1.CreateServiceRequest {
	r := serviceRequest(name, volumes...)
	r.Spec.Mode, r.Spec.Replicas = warrenv1.ServiceMode_SERVICE_MODE_GLOBAL, 0
	return r
}

func TestAGlobalServiceIsOnEveryNode(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	c.addWorker("worker-2", &worker{})
	a := c.admin()
	if _, err := a.CreateService(ctx, globalRequest("exporter")); err != nil {
		t.Fatal(err)
	}
	c.running("exporter", 2)
	c.addWorker("worker-3", &worker{})
	c.running("exporter", 3)

	drained := warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED
	if _, err := a.UpdateNode(ctx, &warrenv1.UpdateNodeRequest{Ref: ref("worker-1"), Availability: &drained}); err != nil {
		t.Fatal(err)
	}
	c.running("exporter", 2)

	s, err := a.GetService(ctx, ref("exporter"))
	if err != nil || s.GetWanted() != 2 {
		t.Fatalf("it wants %d tasks, %v", s.GetWanted(), err)
	}
	next := proto.CloneOf(s.GetSpec())
	next.Constraints = []string{"node.name==worker-3"}
	if _, err := a.UpdateService(ctx, &warrenv1.UpdateServiceRequest{Ref: ref("exporter"), Spec: next}); err != nil {
		t.Fatal(err)
	}
	c.running("exporter", 1)

	c.update(func(tx *store.Tx) error {
		node, err := tx.Nodes().ByName("", "worker-2")
		if err != nil {
			return err
		}
		node.Meta.Labels["zone"] = "a"
		return tx.Nodes().Put(node)
	})
	next.Constraints = []string{"node.labels.zone==a"}
	if _, err := a.UpdateService(ctx, &warrenv1.UpdateServiceRequest{Ref: ref("exporter"), Spec: next}); err != nil {
		t.Fatal(err)
	}
	c.until("the task is on the node with the label", func(tx *store.ReadTx) bool {
		for key := range tx.Tasks().OfNode("node-worker-2") {
			status, err := tx.TaskStatus().Get(key.Parts()...)
			if err == nil && status.GetState() == warrenv1.TaskState_TASK_STATE_RUNNING {
				return true
			}
		}
		return false
	})
}

func TestAGlobalServiceHasNoNumber(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	bad := globalRequest("exporter")
	bad.Spec.Replicas = 3
	_, err := a.CreateService(ctx, bad)
	wantError(t, err, codes.InvalidArgument, "one task on each node")
	answer, err := a.CreateService(ctx, globalRequest("exporter", "data"))
	if err != nil || !strings.Contains(strings.Join(answer.GetWarnings(), ""), "the tasks of the other nodes wait") {
		t.Errorf("warnings %q, %v", answer.GetWarnings(), err)
	}
	_, err = a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("exporter"), Replicas: 2})
	wantError(t, err, codes.FailedPrecondition, "is global")
	next := proto.CloneOf(answer.GetService().GetSpec())
	next.Mode, next.Replicas = warrenv1.ServiceMode_SERVICE_MODE_REPLICATED, 1
	_, err = a.UpdateService(ctx, &warrenv1.UpdateServiceRequest{Ref: ref("exporter"), Spec: next})
	wantError(t, err, codes.FailedPrecondition, "is global, and stays so")
}
