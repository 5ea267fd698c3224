package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"
)

func volume(ns, name, id string) *warrenv1.Volume {
	return &warrenv1.Volume{Meta: &warrenv1.Meta{Id: id, Name: name, Namespace: ns}}
}

func update(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *store.Store, fn func(*store.ReadTx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestObjectsAreFoundByNameThenByID(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.Volumes().Create(volume("default", "db", "vol-db-aaaaaa")),
			tx.Volumes().Create(volume("prod", "db", "vol-db-bbbbbb")),
			// Somebody may name a volume as another's ID: the name wins.
			tx.Volumes().Create(volume("default", "vol-db-aaaaaa", "vol-vol-db-aaaaaa-cccccc")),
		)
	})
	view(t, s, func(tx *store.ReadTx) error {
		for _, c := range []struct{ ns, ref, want string }{
			{"", "db", "vol-db-aaaaaa"},
			{"default", "db", "vol-db-aaaaaa"},
			{"prod", "db", "vol-db-bbbbbb"},
			{"prod", "vol-db-bbbbbb", "vol-db-bbbbbb"},
			{"", "vol-db-aaaaaa", "vol-vol-db-aaaaaa-cccccc"},
			{"", "vol-db-bbbbbb", ""},
			{"", "vol-db", ""},
			{"prod", "db/", ""},
			{"prod/db", "db", ""},
			{"", "", ""},
		} {
			v, err := tx.Volumes().Lookup(&warrenv1.Ref{Namespace: c.ns, NameOrId: c.ref})
			if v.GetMeta().GetId() != c.want || (c.want == "") != errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s/%s gives %q, %v; not %q", c.ns, c.ref, v.GetMeta().GetId(), err, c.want)
			}
		}
		return nil
	})
}

func TestANameIsGivenOnce(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	const clients = 16
	results := make(chan error, clients)
	for i := range clients {
		go func() {
			results <- s.Update(context.Background(), func(tx *store.Tx) error {
				return tx.Volumes().Create(volume("default", "db", fmt.Sprintf("vol-db-%06d", i)))
			})
		}()
	}
	created := 0
	for range clients {
		switch err := <-results; {
		case err == nil:
			created++
		case !errors.Is(err, store.ErrExists) || !strings.Contains(err.Error(), `volume "db"`):
			t.Errorf("got %v", err)
		}
	}
	if created != 1 {
		t.Errorf("%d volumes have the name", created)
	}
}

func TestADeletedNameIsFree(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	for _, id := range []string{"vol-db-aaaaaa", "vol-db-bbbbbb"} {
		update(t, s, func(tx *store.Tx) error { return tx.Volumes().Create(volume("", "db", id)) })
		update(t, s, func(tx *store.Tx) error {
			v, err := tx.Volumes().ByName("", "db")
			if err != nil {
				return err
			}
			if v.Meta.Id != id {
				t.Errorf("the name leads to %s", v.Meta.Id)
			}
			return tx.Volumes().Delete(v)
		})
	}
	view(t, s, func(tx *store.ReadTx) error {
		for k := range tx.Volumes().Keys() {
			t.Errorf("%s is left", k)
		}
		return nil
	})
}

func TestWhatIsFilledInOnReadingIsNotStored(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	v := volume("default", "db", "vol-db-aaaaaa")
	v.Status, v.NodeName = &warrenv1.VolumeStatus{VolumeId: v.Meta.Id}, "worker-1"
	update(t, s, func(tx *store.Tx) error { return tx.Volumes().Create(v) })
	if v.Status == nil {
		t.Error("the caller's own copy was changed")
	}
	view(t, s, func(tx *store.ReadTx) error {
		stored, err := tx.Volumes().Get("default", "vol-db-aaaaaa")
		if stored.GetStatus() != nil || stored.GetNodeName() != "" {
			t.Errorf("stored %v", stored)
		}
		return err
	})
}

func task(id, service, node string, slot uint32) *warrenv1.Task {
	return &warrenv1.Task{
		Meta:      &warrenv1.Meta{Id: id, Name: fmt.Sprintf("%s-task-%d", service, slot), Namespace: "default"},
		ServiceId: service, NodeId: node, Slot: slot,
	}
}

func ids(seq func(func(store.Key, *warrenv1.Task) bool)) string {
	var found []string
	for k := range seq {
		found = append(found, k.ID())
	}
	return strings.Join(found, " ")
}

func TestIndexesFollowTheirRows(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.Tasks().Create(task("t1", "web", "", 1)),
			tx.Tasks().Create(task("t2", "web", "node-a", 2)),
			tx.Tasks().Create(task("t3", "web-2", "node-a", 1)),
		)
	})
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, not %q", what, got, want)
		}
	}
	update(t, s, func(tx *store.Tx) error {
		expect("of web", ids(tx.Tasks().OfService("default", "web")), "t1 t2")
		expect("of node-a", ids(tx.Tasks().OfNode("node-a")), "t2 t3")
		if err := tx.Tasks().Put(task("t1", "web", "node-a", 1)); err != nil {
			return err
		}
		if err := tx.Tasks().Put(task("t2", "web", "node-b", 2)); err != nil {
			return err
		}
		// A transaction sees its own writes in the indexes too.
		expect("of node-a within", ids(tx.Tasks().OfNode("node-a")), "t1 t3")
		return tx.Tasks().Delete(task("t3", "web-2", "node-a", 1))
	})
	view(t, s, func(tx *store.ReadTx) error {
		expect("of node-a", ids(tx.Tasks().OfNode("node-a")), "t1")
		expect("of node-b", ids(tx.Tasks().OfNode("node-b")), "t2")
		expect("of web-2", ids(tx.Tasks().OfService("default", "web-2")), "")
		return nil
	})
}

func TestASlotsNameLeadsToItsNewestTask(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	first, second := task("t1", "web", "", 1), task("t2", "web", "", 1)
	name := func() string {
		id := ""
		view(t, s, func(tx *store.ReadTx) error {
			found, err := tx.Tasks().ByName("default", "web-task-1")
			id = found.GetMeta().GetId()
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
		return id
	}
	update(t, s, func(tx *store.Tx) error { return tx.Tasks().Create(first) })
	update(t, s, func(tx *store.Tx) error { return tx.Tasks().Create(second) })
	if name() != "t2" {
		t.Errorf("the name leads to %q", name())
	}
	update(t, s, func(tx *store.Tx) error { return tx.Tasks().Delete(first) })
	if name() != "t2" {
		t.Errorf("after the old one is gone the name leads to %q", name())
	}
	update(t, s, func(tx *store.Tx) error { return tx.Tasks().Delete(second) })
	if name() != "" {
		t.Errorf("after both are gone the name leads to %q", name())
	}
}

func TestAttachmentsAreFoundFromBothSides(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	update(t, s, func(tx *store.Tx) error {
		for _, pair := range [][2]string{{"v1", "t1"}, {"v1", "t2"}, {"v2", "t1"}, {"v10", "t1"}} {
			a := &warrenv1.Attachment{VolumeId: pair[0], TaskId: pair[1]}
			if err := tx.Attachments().Put(a, "default", pair[0], pair[1]); err != nil {
				return err
			}
		}
		return tx.Attachments().Delete("default", "v2", "t1")
	})
	view(t, s, func(tx *store.ReadTx) error {
		var ofVolume, ofTask []string
		for _, a := range tx.Attachments().OfVolume("default", "v1") {
			ofVolume = append(ofVolume, a.TaskId)
		}
		for _, a := range tx.Attachments().OfTask("default", "t1") {
			ofTask = append(ofTask, a.VolumeId)
		}
		if fmt.Sprint(ofVolume, ofTask) != "[t1 t2] [v1 v10]" {
			t.Errorf("got %v and %v", ofVolume, ofTask)
		}
		return nil
	})
}

func TestScansSeeTheTransactionsOwnWrites(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	status := func(id string) *warrenv1.VolumeStatus { return &warrenv1.VolumeStatus{VolumeId: id} }
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.VolumeStatus().Put(status("b"), "default", "b"), tx.VolumeStatus().Put(status("d"), "default", "d"),
			tx.VolumeStatus().Put(status("x"), "defaults", "x"))
	})
	update(t, s, func(tx *store.Tx) error {
		rows := tx.VolumeStatus()
		err := errors.Join(rows.Put(status("a"), "default", "a"), rows.Put(status("c"), "default", "c"), rows.Put(status("e"), "default", "e"),
			rows.Delete("default", "d"), rows.Put(&warrenv1.VolumeStatus{VolumeId: "b", Message: "new"}, "default", "b"))
		var seen []string
		for _, row := range rows.List("default") {
			seen = append(seen, row.VolumeId+row.Message)
			if err := rows.Delete("default", row.VolumeId); err != nil { // while going through
				return err
			}
		}
		if got := strings.Join(seen, " "); got != "a bnew c e" {
			t.Errorf("saw %s", got)
		}
		for k := range rows.Keys("default") {
			t.Errorf("%s is left", k)
		}
		return err
	})
}

func TestEventsAreNumberedInOrder(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	for _, reason := range []string{"one", "two", "three"} {
		update(t, s, func(tx *store.Tx) error { return tx.Events().Append(&warrenv1.Event{Sequence: 99, Reason: reason}) })
	}
	view(t, s, func(tx *store.ReadTx) error {
		var got []string
		for e := range tx.Events().After(1) {
			got = append(got, fmt.Sprint(e.Sequence, e.Reason))
		}
		if fmt.Sprint(got) != "[2two 3three]" {
			t.Errorf("got %v", got)
		}
		return nil
	})
}

// Counting up from many sides at once is exact, and nobody starves.
func TestConflictsAreRunAgain(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	const clients, times = 16, 8
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range times {
				err := s.Update(context.Background(), func(tx *store.Tx) error {
					hold, err := tx.Holds().Get("default", "vol")
					if errors.Is(err, store.ErrNotFound) {
						hold, err = &storepb.Hold{}, nil
					}
					hold.Holders++
					return errors.Join(err, tx.Holds().Put(hold, "default", "vol"))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	view(t, s, func(tx *store.ReadTx) error {
		hold, err := tx.Holds().Get("default", "vol")
		if hold.GetHolders() != clients*times {
			t.Errorf("counted %d, not %d", hold.GetHolders(), clients*times)
		}
		return err
	})
}

func TestPeekAndListDoNotGuard(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	status := &warrenv1.TaskStatus{TaskId: "t1"}
	update(t, s, func(tx *store.Tx) error { return tx.TaskStatus().Put(status, "default", "t1") })
	for name, read := range map[string]func(tx *store.Tx){
		"Peek": func(tx *store.Tx) { tx.TaskStatus().Peek("default", "t1") },
		"List": func(tx *store.Tx) {
			for range tx.TaskStatus().List() {
			}
		},
		"Get": func(tx *store.Tx) { tx.TaskStatus().Get("default", "t1") },
	} {
		runs := 0
		update(t, s, func(tx *store.Tx) error {
			runs++
			read(tx)
			if runs == 1 { // somebody else writes meanwhile
				update(t, s, func(tx *store.Tx) error { return tx.TaskStatus().Put(status, "default", "t1") })
			}
			return tx.Holds().Put(&storepb.Hold{}, "default", "vol")
		})
		if want := map[bool]int{true: 2, false: 1}[name == "Get"]; runs != want {
			t.Errorf("%s: the closure ran %d times, not %d", name, runs, want)
		}
	}
}

func TestAClosuresErrorWritesNothing(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	refused := errors.New("refused")
	err := s.Update(context.Background(), func(tx *store.Tx) error {
		return errors.Join(tx.Volumes().Create(volume("", "db", "vol-db-aaaaaa")), refused)
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	view(t, s, func(tx *store.ReadTx) error {
		if _, err := tx.Volumes().ByName("", "db"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		return nil
	})
}

func TestAWrongKeyIsAnError(t *testing.T) {
	t.Parallel()
	s := testkit.NewStore(t)
	update(t, s, func(tx *store.Tx) error {
		if _, err := tx.Attachments().Get("default", "vol"); err == nil {
			t.Error("a key with a part missing was taken")
		}
		if err := tx.Registries().Put(&warrenv1.Registry{}, "a/b"); err == nil {
			t.Error("a part with a slash was taken")
		}
		if err := tx.Volumes().Create(volume("", "", "vol-aaaaaa")); err == nil {
			t.Error("an empty name was taken")
		}
		return nil
	})
}

// On a full disk the store says so, and what is marked Reclaim still happens.
func TestAFullDiskIsToldAndCanBeFreed(t *testing.T) {
	t.Parallel()
	_, c := testkit.NewState(t)
	s := store.New(fullDisk{c})
	create := func(tx *store.Tx) error { return tx.Volumes().Create(volume("", "db", "vol-db-aaaaaa")) }
	if err := s.Update(t.Context(), create); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("got %v", err)
	}
	update(t, s, func(tx *store.Tx) error {
		tx.Reclaim()
		return tx.VolumeStatus().Delete("default", "vol-db-aaaaaa")
	})
}

// fullDisk is an engine whose disk is full; consensus shows the same on a real
// one.
type fullDisk struct{ store.Engine }

func (f fullDisk) Propose(ctx context.Context, t *storepb.Transaction) (uint64, error) {
	if !t.Reclaim {
		return 0, store.ErrDiskFull
	}
	return f.Engine.Propose(ctx, t)
}
