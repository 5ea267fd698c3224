package server_test

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// addManager adds a manager's row, with how the leader sees it.
func (c *cluster) addManager(name, address string, state warrenv1.ManagerState, roles ...warrenv1.Role) {
	c.t.Helper()
	id := "node-" + name
	c.update(func(tx *store.Tx) error {
		node := &warrenv1.Node{
			Meta:  &warrenv1.Meta{Id: id, Name: name},
			Roles: append([]warrenv1.Role{warrenv1.Role_ROLE_MANAGER}, roles...), Address: address,
		}
		return errors.Join(tx.Nodes().Create(node), tx.ManagerStatus().Put(&warrenv1.ManagerStatus{NodeId: id, State: state}, id))
	})
}

// at gives a worker the address that it tells, and a state.
func (c *cluster) at(name, address string, state warrenv1.NodeState) {
	c.t.Helper()
	c.update(func(tx *store.Tx) error {
		return tx.NodeStatus().Put(&warrenv1.NodeStatus{
			NodeId: "node-" + name, State: state, Description: &warrenv1.NodeDescription{Address: address},
		}, "node-"+name)
	})
}

const (
	up        = warrenv1.ManagerState_MANAGER_STATE_READY
	down      = warrenv1.ManagerState_MANAGER_STATE_DOWN
	nodeReady = warrenv1.NodeState_NODE_STATE_READY
)

func TestPromotionsThatAreRefused(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	c.addManager("manager-1", "10.0.0.1:8080", up)
	for _, name := range []string{"lost", "twin", "alone"} {
		c.addWorker(name, &worker{deaf: true})
	}
	c.at("lost", "10.0.0.2:8080", warrenv1.NodeState_NODE_STATE_DOWN)
	c.at("twin", "10.0.0.1:8080", nodeReady)
	c.at("alone", "127.0.0.1:8080", nodeReady)
	for name, want := range map[string]struct {
		code codes.Code
		says string
	}{
		"lost":    {codes.FailedPrecondition, "is down"},
		"twin":    {codes.AlreadyExists, "has the address 10.0.0.1:8080 already"},
		"alone":   {codes.FailedPrecondition, "cannot reach"},
		"nobody":  {codes.NotFound, "does not exist"},
		"manager": {codes.NotFound, "does not exist"},
	} {
		_, err := a.UpdateNode(ctx, &warrenv1.UpdateNodeRequest{Ref: ref(name), Manager: proto.Bool(true)})
		wantError(t, err, want.code, want.says)
	}
}

func TestTheManagersKeepTheirMajority(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	demote := func(name string) error {
		_, err := a.UpdateNode(ctx, &warrenv1.UpdateNodeRequest{Ref: ref(name), Manager: proto.Bool(false)})
		return err
	}
	c.addManager("one", "10.0.0.1:8080", up, warrenv1.Role_ROLE_WORKER)
	wantError(t, demote("one"), codes.FailedPrecondition, "only manager")
	c.addManager("two", "10.0.0.2:8080", up)
	wantError(t, demote("two"), codes.FailedPrecondition, "runs no containers")
	c.addManager("three", "10.0.0.3:8080", down)
	wantError(t, demote("one"), codes.FailedPrecondition, "node three would be needed, and does not answer")
	_, err := a.RemoveNode(ctx, &warrenv1.RemoveNodeRequest{Ref: ref("two"), Force: true})
	wantError(t, err, codes.FailedPrecondition, "node three would be needed")
}

// What control/member does is played here: a node that resigned is let go.
func (c *cluster) letGo(name string) {
	c.t.Helper()
	c.until(name+" resigns", func(tx *store.ReadTx) bool {
		node, err := tx.Nodes().ByName("", name)
		return err == nil && node.GetResigning()
	})
	c.update(func(tx *store.Tx) error {
		node, err := tx.Nodes().ByName("", name)
		if err != nil {
			return err
		}
		node.Roles, node.Resigning = node.GetRoles()[1:], false
		return tx.Nodes().Put(node)
	})
}

func TestAManagerIsRemovedOnceTheOthersLetItGo(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	c.addManager("one", "10.0.0.1:8080", up)
	c.addManager("two", "10.0.0.2:8080", down)
	removed := make(chan error, 1)
	go func() {
		_, err := a.RemoveNode(ctx, &warrenv1.RemoveNodeRequest{Ref: ref("two")})
		removed <- err
	}()
	c.letGo("two")
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	_, err := a.GetNode(ctx, ref("two"))
	wantError(t, err, codes.NotFound, "does not exist")
}

func TestAWorkerLeavesOnceItsTasksHaveStopped(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	c.addWorker("worker-1", &worker{})
	createService(t, c, a, "web")
	conn := c.dial("node-worker-1", warrenv1.Role_ROLE_WORKER)
	itself := warrenv1.NewJoiningClient(conn)
	if _, err := a.CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "data"}); err != nil {
		t.Fatal(err)
	}
	_, err := itself.Leave(ctx, &warrenv1.LeaveRequest{})
	wantError(t, err, codes.FailedPrecondition, "the data of volume data")
	c.running("web", 1)
	answer, err := itself.Leave(ctx, &warrenv1.LeaveRequest{Force: true})
	if err != nil || len(answer.GetLostVolumes()) != 1 {
		t.Fatalf("lost %v, %v", answer.GetLostVolumes(), err)
	}
	c.view(func(tx *store.ReadTx) error {
		for key := range tx.TaskStatus().Keys() {
			status, err := tx.TaskStatus().Get(key.Parts()...)
			if err != nil {
				return err
			}
			if status.GetState() == warrenv1.TaskState_TASK_STATE_LOST {
				t.Errorf("%s was given up instead of stopped", key.ID())
			}
		}
		return nil
	})
}
