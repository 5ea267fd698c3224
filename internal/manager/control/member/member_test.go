package member_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/control/member"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

// until polls what changes outside of the state.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func manager(id string) *warrenv1.Node {
	return &warrenv1.Node{
		Meta:  &warrenv1.Meta{Id: id, Name: id},
		Roles: []warrenv1.Role{warrenv1.Role_ROLE_MANAGER}, Address: id,
	}
}

func TestTheMembersAreTheManagersOfTheState(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 1)
	leader := c.Managers[0]
	update := func(fn func(*store.Tx) error) {
		t.Helper()
		if err := leader.Store.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	moved := manager(leader.ID)
	moved.Address = "where it was before"
	update(func(tx *store.Tx) error { return tx.Nodes().Create(moved) })

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- member.New(leader.Store, leader, slog.New(slog.DiscardHandler)).Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	second, third := c.NewManager(), c.NewManager()
	worker := manager("node-worker")
	worker.Roles = []warrenv1.Role{warrenv1.Role_ROLE_WORKER}
	update(func(tx *store.Tx) error {
		return errors.Join(tx.Nodes().Create(manager(second.ID)), tx.Nodes().Create(manager(third.ID)), tx.Nodes().Create(worker))
	})
	voters := func() (n int) {
		members, err := leader.Members()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if m.Voter {
				n++
			}
		}
		return n
	}
	until(t, "the managers take part", func() bool { return voters() == 3 })
	until(t, "all of them are seen to answer", func() bool {
		ready := 0
		err := leader.Store.ViewStale(t.Context(), func(tx *store.ReadTx) error {
			for _, s := range tx.ManagerStatus().List() {
				if s.GetState() == warrenv1.ManagerState_MANAGER_STATE_READY {
					ready++
				}
			}
			return nil
		})
		return err == nil && ready == 3
	})
	update(func(tx *store.Tx) error {
		node, err := tx.Nodes().Get(second.ID)
		if err != nil {
			return err
		}
		return tx.Nodes().Delete(node)
	})
	until(t, "the removed one is out", func() bool { return voters() == 2 })
	until(t, "the address is noted", func() bool {
		var node *warrenv1.Node
		err := leader.Store.ViewStale(t.Context(), func(tx *store.ReadTx) (err error) {
			node, err = tx.Nodes().Get(leader.ID)
			return err
		})
		return err == nil && node.GetAddress() == leader.ID
	})
}
