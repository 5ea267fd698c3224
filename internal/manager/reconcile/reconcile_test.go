package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

func TestAFailureIsTriedAgainAndHoldsUpNothing(t *testing.T) {
	s := testkit.NewStore(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	calls := make(chan store.Changes)
	answers := make(chan error)
	ended := make(chan error, 1)
	go func() {
		ended <- reconcile.Run(ctx, s, slog.New(slog.DiscardHandler), func(_ context.Context, c store.Changes) error {
			calls <- c
			return <-answers
		}, store.TableNodes)
	}()
	if c := <-calls; !c.All {
		t.Fatalf("the first call: %+v", c)
	}
	// This is there before the first call fails.
	err := s.Update(ctx, func(tx *store.Tx) error {
		return tx.Nodes().Create(&warrenv1.Node{Meta: &warrenv1.Meta{Id: "n1", Name: "n1"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	answers <- errors.New("not now")
	seen := false
	for {
		c := <-calls
		answers <- nil
		seen = seen || c.Any(store.TableNodes) && !c.All
		if c.All {
			break
		}
	}
	if !seen {
		t.Error("the change had to wait for the retry")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
