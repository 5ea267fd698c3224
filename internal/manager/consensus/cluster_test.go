package consensus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// write puts a row of that name, through whichever manager takes it.
func write(t *testing.T, c *testkit.Cluster, name, value string) {
	t.Helper()
	err := c.Update(within(t, 20*time.Second), "write-"+name+"-"+value, func(tx *store.Tx) error {
		return errors.Join(tx.Registries().Put(&warrenv1.Registry{Host: name, Username: value}, name), tx.Done(name))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// has waits until a manager's own state has the row.
func has(t *testing.T, m *testkit.Manager, name, value string) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	w := m.Store.Watch(store.TableRegistries)
	defer w.Close()
	for {
		var got *warrenv1.Registry
		err := m.Store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
			got, err = tx.Registries().Get(name)
			return err
		})
		if err == nil && got.GetUsername() == value {
			return
		}
		if _, err := w.Next(ctx); err != nil {
			t.Fatalf("%s does not have %s=%s: %v", m.ID, name, value, err)
		}
	}
}

func TestEveryManagerHasWhatWasAgreedUpon(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 3)
	write(t, c, "a", "1")
	leader := c.Leader(within(t, 10*time.Second))
	members, err := leader.Members()
	if err != nil || len(members) != 3 {
		t.Fatalf("members %v, %v", members, err)
	}
	for i, m := range c.Managers {
		has(t, m, "a", "1")
		if !members[i].Voter || members[i].Leader != (members[i].NodeID == leader.ID) {
			t.Errorf("member %+v", members[i])
		}
		if m == leader {
			continue
		}
		if err := m.Barrier(t.Context()); !errors.Is(err, store.ErrNotLeader) {
			t.Errorf("a follower's barrier gave %v", err)
		}
		if m.LeaderAddress() != leader.ID {
			t.Errorf("%s believes that %q leads", m.ID, m.LeaderAddress())
		}
	}
}

// A new manager gets a snapshot, not the log, and is its own all the same: it
// starts again as if it had always been there.
func TestAManagerThatJoinsLaterGetsASnapshot(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 1)
	write(t, c, "a", "1")
	leader := c.Managers[0]
	if err := leader.Compact(); err != nil {
		t.Fatal(err)
	}
	m := c.NewManager()
	ctx := within(t, 20*time.Second)
	if err := leader.AddManager(ctx, m.ID, m.ID); err != nil {
		t.Fatal(err)
	}
	has(t, m, "a", "1")
	if err := leader.AddManager(ctx, m.ID, m.ID); err != nil {
		t.Errorf("adding it again gave %v", err)
	}
	c.Stop(m)
	c.Start(m)
	write(t, c, "a", "2")
	has(t, m, "a", "2")
}

func TestAManagerThatDoesNotAnswerIsNotAdded(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 1)
	leader := c.Managers[0]
	err := leader.AddManager(within(t, 300*time.Millisecond), "node-nobody", "nowhere")
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Fatalf("got %v", err)
	}
	if members, err := leader.Members(); err != nil || len(members) != 1 {
		t.Errorf("members %v, %v", members, err)
	}
	if err := leader.AddManager(t.Context(), "node-other", leader.ID); !errors.Is(err, consensus.ErrAddressTaken) {
		t.Errorf("a taken address gave %v", err)
	}
	write(t, c, "a", "1")
}

func TestManagersAreRemoved(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 3)
	ctx := within(t, 30*time.Second)
	leader := c.Leader(ctx)
	// The leader hands over before it goes.
	if err := leader.RemoveManager(ctx, leader.ID); !errors.Is(err, store.ErrNotLeader) {
		t.Fatalf("removing itself gave %v", err)
	}
	next := c.Leader(ctx)
	if err := next.RemoveManager(ctx, leader.ID); err != nil {
		t.Fatal(err)
	}
	if err := next.RemoveManager(ctx, leader.ID); err != nil {
		t.Errorf("removing it again gave %v", err)
	}
	c.Stop(leader)
	write(t, c, "a", "1")
	for _, m := range c.Managers {
		if m != leader && m != next {
			if err := m.RemoveManager(ctx, next.ID); !errors.Is(err, store.ErrNotLeader) {
				t.Errorf("a follower's removal gave %v", err)
			}
			if err := next.RemoveManager(ctx, m.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := next.RemoveManager(ctx, next.ID); !errors.Is(err, consensus.ErrLastVoter) {
		t.Errorf("removing the last gave %v", err)
	}
}

func TestALeaderThatStopsHandsOver(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 3)
	ctx := within(t, 20*time.Second)
	leader := c.Leader(ctx)
	changes, stop := c.Managers[1].Leadership()
	defer stop()
	began := time.Now()
	c.Stop(leader)
	<-changes
	c.Leader(ctx)
	// Much less than what finding out would take; the machine may be busy.
	t.Logf("another one leads %s after the stop began", time.Since(began).Round(time.Millisecond))
	c.Start(leader)
	write(t, c, "a", "1")
	has(t, leader, "a", "1")
}

func TestAMinorityAnswersNothing(t *testing.T) {
	t.Parallel()
	c := testkit.NewCluster(t, 3)
	ctx := within(t, 30*time.Second)
	old := c.Leader(ctx)
	write(t, c, "a", "1")
	c.Isolate(old.ID)
	err := old.Store.Update(store.WithRequest(ctx, "lost"), func(tx *store.Tx) error {
		return tx.Registries().Put(&warrenv1.Registry{Username: "lost"}, "a")
	})
	if err == nil {
		t.Fatal("a leader without a majority took a write")
	}
	write(t, c, "a", "2")
	if err := old.Store.View(ctx, func(*store.ReadTx) error { return nil }); !errors.Is(err, store.ErrNotLeader) {
		t.Errorf("its read gave %v", err)
	}
	if err := old.Store.View(store.Stale(ctx), func(*store.ReadTx) error { return nil }); err != nil {
		t.Errorf("its stale read gave %v", err)
	}
	has(t, old, "a", "1")
	c.Heal()
	has(t, old, "a", "2")
}
