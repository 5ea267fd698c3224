package server_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// watchUsage returns all that is said until the call ends, by node.
func watchUsage(t *testing.T, c *cluster, r *warrenv1.WatchUsageRequest) (map[string]*warrenv1.NodeUsage, error) {
	t.Helper()
	call, err := warrenv1.NewMeterClient(c.dial("bob", warrenv1.Role_ROLE_READER)).WatchUsage(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*warrenv1.NodeUsage{}
	for {
		u, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all[u.GetNode()] = u
	}
}

func TestUsageOfEveryNode(t *testing.T) {
	c := newCluster(t)
	asked := make(chan *warrenv1.OpenUsage, 2)
	for _, name := range []string{"worker-1", "worker-2"} {
		w := c.addWorker(name, &worker{})
		w.serve(func(open *warrenv1.OpenStream) *fakeStream {
			asked <- open.GetUsage()
			return saying(&warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Usage{Usage: &warrenv1.NodeUsage{
				Node: "a lie", Cpus: 2,
				Tasks: []*warrenv1.TaskUsage{{Task: "a", Namespace: "default"}, {Task: "b", Namespace: "other"}},
			}}})
		})
	}
	c.addWorker("worker-3", &worker{deaf: true})
	all, err := watchUsage(t, c, &warrenv1.WatchUsageRequest{Namespace: "other"})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d nodes, %v", len(all), err)
	}
	for _, name := range []string{"worker-1", "worker-2"} {
		u := all[name]
		if u.GetNodeId() != "node-"+name || u.GetCpus() != 2 || len(u.GetTasks()) != 1 || u.GetTasks()[0].GetTask() != "b" {
			t.Errorf("%s says %v", name, u)
		}
		if o := <-asked; o.GetInterval().AsDuration() != time.Second || o.GetFollow() {
			t.Errorf("a worker was asked for %v", o)
		}
	}
	if u := all["worker-3"]; u.GetError() != "node node-worker-3 is not connected" {
		t.Errorf("the silent node: %v", u)
	}
}

func TestUsageThatCannotBeMeasured(t *testing.T) {
	c := newCluster(t)
	for _, interval := range []time.Duration{-time.Second, 0, 99 * time.Millisecond, 2 * time.Hour} {
		_, err := watchUsage(t, c, &warrenv1.WatchUsageRequest{Interval: durationpb.New(interval)})
		wantError(t, err, codes.InvalidArgument, "interval")
	}
	_, err := watchUsage(t, c, &warrenv1.WatchUsageRequest{})
	wantError(t, err, codes.Unavailable, "no node is ready")
}

func TestLimitsAboveEveryMachineAreWarnedOf(t *testing.T) {
	c := newCluster(t)
	w := c.addWorker("worker-1", &worker{})
	c.update(func(tx *store.Tx) error {
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{
			NodeId: w.id, State: warrenv1.NodeState_NODE_STATE_READY,
			Description: &warrenv1.NodeDescription{Cpus: 2, MemoryBytes: 4e9},
		}, w.id)
	})
	r := serviceRequest("web")
	r.Spec.Container.Resources = &warrenv1.Resources{CpuLimitMillis: 64000, MemoryLimitBytes: 900e9}
	created, err := c.admin().CreateService(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(created.GetWarnings(), "\n")
	want := "the CPU limit of 64 is above what any node has (2)\nthe memory limit of 900GB is above what any node has (4GB)"
	if !strings.Contains(warnings, want) {
		t.Errorf("warnings: %s", warnings)
	}
}
