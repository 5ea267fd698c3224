package store_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

func TestARequestIsDoneOnce(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	ctx := store.WithRequest(context.Background(), "request-1")
	create := func(ctx context.Context, name, id string) error {
		return s.Update(ctx, func(tx *store.Tx) error {
			return errors.Join(tx.Volumes().Create(volume("", name, id)), tx.Done(id))
		})
	}
	if err := create(ctx, "db", "vol-db-aaaaaa"); err != nil {
		t.Fatal(err)
	}
	var replayed *store.Replayed
	if err := create(ctx, "db", "vol-db-bbbbbb"); !errors.As(err, &replayed) || replayed.ObjectID != "vol-db-aaaaaa" {
		t.Errorf("the retry gave %v", err)
	}
	if err := create(store.WithRequest(context.Background(), "request-2"), "db", "vol-db-cccccc"); !errors.Is(err, store.ErrExists) {
		t.Errorf("another request gave %v", err)
	}
}

func TestOneRequestAtManyClientsIsDoneOnce(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	ctx := store.WithRequest(context.Background(), "request-1")
	const clients = 8
	results := make(chan error, clients)
	for i := range clients {
		go func() {
			id := "vol-db-00000" + string('0'+rune(i))
			results <- s.Update(ctx, func(tx *store.Tx) error {
				return errors.Join(tx.Volumes().Create(volume("", "db-"+id, id)), tx.Done(id))
			})
		}()
	}
	done := 0
	for range clients {
		var replayed *store.Replayed
		if err := <-results; err == nil {
			done++
		} else if !errors.As(err, &replayed) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
}

func TestARetryAfterARestartIsDoneOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := store.WithRequest(context.Background(), "request-1")
	var first error
	for attempt := range 2 {
		c, err := consensus.Open(consensus.Options{DataDir: dir, NodeID: "node-a", Logger: slog.New(slog.DiscardHandler), Reserve: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if attempt == 0 {
			if err := c.Bootstrap(); err != nil {
				t.Fatal(err)
			}
		}
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		if err := c.WaitLeading(wait); err != nil {
			t.Fatal(err)
		}
		cancel()
		first = store.New(c).Update(ctx, func(tx *store.Tx) error { return tx.Done("vol-db-aaaaaa") })
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if attempt == 0 && first != nil {
			t.Fatal(first)
		}
	}
	var replayed *store.Replayed
	if !errors.As(first, &replayed) {
		t.Errorf("the retry gave %v", first)
	}
}
