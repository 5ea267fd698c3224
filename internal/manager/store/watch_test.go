package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

func next(t *testing.T, w *store.Watcher) store.Changes {
	t.Helper()
	changes, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestAWatcherStartsFromEverything(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	w := s.Watch(store.TableVolumes)
	defer w.Close()
	if changes := next(t, w); !changes.All || !changes.Any(store.TableVolumes) {
		t.Errorf("the first changes are %+v", changes)
	}
}

func TestChangesCoalesceAndAreNotDropped(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	w := s.Watch(store.TableVolumes, store.TableVolumeStatus)
	defer w.Close()
	next(t, w)
	for i := range 3 {
		update(t, s, func(tx *store.Tx) error {
			return errors.Join(
				tx.Volumes().Create(volume("prod", fmt.Sprintf("db-%d", i), fmt.Sprintf("v%d", i))),
				tx.VolumeStatus().Put(&warrenv1.VolumeStatus{}, "prod", "v0"),
				tx.TaskStatus().Put(&warrenv1.TaskStatus{}, "prod", "not watched"),
			)
		})
	}
	changes := next(t, w)
	if got := fmt.Sprint(changes.Keys(store.TableVolumes), changes.Keys(store.TableVolumeStatus)); got != "[prod/v0 prod/v1 prod/v2] [prod/v0]" {
		t.Errorf("saw %s", got)
	}
	if changes.All || changes.Any(store.TableTaskStatus) {
		t.Errorf("saw what was not watched: %+v", changes)
	}
	if key := changes.Keys(store.TableVolumes)[0]; key.Namespace() != "prod" || key.ID() != "v0" {
		t.Errorf("the key's parts are %q", key.Parts())
	}
}

func TestAWatcherSeesWhatItWasToldOf(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	w := s.Watch(store.TableVolumes)
	defer w.Close()
	next(t, w)
	go func() {
		for i := range 20 {
			_ = s.Update(context.Background(), func(tx *store.Tx) error {
				return tx.Volumes().Create(volume("", fmt.Sprint("db-", i), fmt.Sprint("v", i)))
			})
		}
	}()
	for seen := 0; seen < 20; {
		for _, key := range next(t, w).Keys(store.TableVolumes) {
			seen++
			err := s.ViewStale(t.Context(), func(tx *store.ReadTx) error {
				_, err := tx.Volumes().Get(key.Parts()...)
				return err
			})
			if err != nil {
				t.Errorf("told of %s: %v", key, err)
			}
		}
	}
}

func TestTooManyChangesBecomeAll(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	w := s.Watch(store.TableTaskStatus)
	defer w.Close()
	next(t, w)
	for batch := range 5 {
		update(t, s, func(tx *store.Tx) error {
			for i := range 4000 {
				if err := tx.TaskStatus().Put(&warrenv1.TaskStatus{}, "default", fmt.Sprint(batch, "-", i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if changes := next(t, w); !changes.All {
		t.Errorf("%d keys were kept", len(changes.Keys(store.TableTaskStatus)))
	}
}

func TestNextEnds(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	w := s.Watch(store.TableVolumes)
	next(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := w.Next(ctx); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go func() { _, err := w.Next(context.Background()); ended <- err }()
	w.Close()
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
