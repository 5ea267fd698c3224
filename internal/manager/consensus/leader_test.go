package consensus

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/cuemby/warren/internal/manager/store"
)

func TestWorkRunsWhileLeading(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	mustPropose(t, c, put("volume/a", "x"))
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- c.WhileLeading(ctx, func(ctx context.Context) error {
			if row, _ := get(t, c, "volume/a"); row != "x" {
				t.Error("work began on an old state")
			}
			close(began)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-began
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestWorkThatFailsWhileLeadingIsReported(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	broken := errors.New("broken")
	if err := c.WhileLeading(t.Context(), func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// A leader that can no longer reach the others ends its work and refuses.
func TestWorkEndsWithLeadership(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	_, transport := raft.NewInmemTransport(raft.ServerAddress(o.NodeID))
	o.Transport = transport
	c := start(t, o)
	began, ended := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	whole := make(chan error)
	go func() {
		whole <- c.WhileLeading(ctx, func(ctx context.Context) error {
			close(began)
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		})
	}()
	<-began
	// The second voter does not exist: from now on there is no majority.
	c.raft.AddVoter("node-b", "node-b", 0, 0)
	<-ended
	if err := c.Barrier(ctx); !errors.Is(err, store.ErrNotLeader) {
		t.Errorf("a read gave %v", err)
	}
	if _, err := c.Propose(ctx, put("volume/a", "x")); !errors.Is(err, store.ErrNotLeader) {
		t.Errorf("a write gave %v", err)
	}
	cancel()
	if err := <-whole; err != nil {
		t.Errorf("got %v", err)
	}
	// A restored copy would not be followed by the others.
	stop(t, c)
	rewriteLineage(t, database(o.DataDir), "ANOTHER")
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "1 other managers") {
		t.Errorf("a restore under peers gave %v", err)
	}
}

func TestAnAbandonedProposalIsUnknown(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// It may win the race against the cancellation; then it must be there.
	index, err := c.Propose(ctx, put("volume/a", "x"))
	if err == nil {
		if _, version := get(t, c, "volume/a"); version != index {
			t.Error("an acknowledged write is not there")
		}
	} else if !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAClosedConsensusRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	stop(t, c)
	if _, err := c.Propose(context.Background(), put("volume/a", "x")); err == nil {
		t.Error("took a write")
	}
	if _, err := c.Snapshot(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a read gave %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("a second Close gave %v", err)
	}
}

func TestBootstrapHappensOnce(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	if err := c.Bootstrap(); err == nil || !strings.Contains(err.Error(), "belongs to a cluster already") {
		t.Errorf("got %v", err)
	}
}

func rewriteLineage(t *testing.T, path, lineage string) {
	t.Helper()
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return writeLineage(tx, lineage) })
	if err := errors.Join(err, db.Sync(), db.Close()); err != nil {
		t.Fatal(err)
	}
}
