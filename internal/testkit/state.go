package testkit

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
)

// NewStore returns the store of a new cluster of one manager, which leads. It
// stands on a directory of the test and is closed with it.
func NewStore(t testing.TB) *store.Store {
	t.Helper()
	s, _ := NewState(t)
	return s
}

// NewState is NewStore that also gives the consensus below.
func NewState(t testing.TB) (*store.Store, *consensus.Consensus) {
	t.Helper()
	c, err := consensus.Open(consensus.Options{
		DataDir: t.TempDir(),
		NodeID:  "node-test-000001",
		Logger:  slog.New(slog.DiscardHandler),
		Reserve: 8 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the state: %v", err)
		}
	})
	if err := c.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.WaitLeading(ctx); err != nil {
		t.Fatal(err)
	}
	return store.New(c), c
}
