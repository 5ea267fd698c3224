package reap

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

func TestASlotKeepsItsLastTasks(t *testing.T) {
	s := testkit.NewStore(t)
	r := New(s, slog.New(slog.DiscardHandler))
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		service := &warrenv1.Service{Meta: &warrenv1.Meta{Id: "svc", Name: "svc", Namespace: ns}}
		if err := tx.Services().Create(service); err != nil {
			return err
		}
		for slot := uint32(1); slot <= 2; slot++ {
			for i := uint64(1); i <= uint64(7*(2-slot)+3); i++ {
				id := fmt.Sprintf("t%d.%d", slot, i)
				task := &warrenv1.Task{Meta: &warrenv1.Meta{Id: id, Name: fmt.Sprint("t", slot), Namespace: ns}, ServiceId: "svc", Slot: slot, Incarnation: i}
				if err := tx.Tasks().Create(task); err != nil {
					return err
				}
				state := warrenv1.TaskState_TASK_STATE_STOPPED
				if id == "t1.2" {
					state = warrenv1.TaskState_TASK_STATE_STOPPING
				}
				if err := tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: id, State: state}, ns, id); err != nil {
					return err
				}
			}
		}
		// Its volume is not released yet.
		return tx.Attachments().Put(&warrenv1.Attachment{}, ns, "vol", "t1.3")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.forgetTasks(t.Context(), store.Changes{All: true}); err != nil {
		t.Fatal(err)
	}
	want := []string{"t1.10", "t1.2", "t1.3", "t1.6", "t1.7", "t1.8", "t1.9", "t2.1", "t2.2", "t2.3"}
	if got := left(t, s); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	w := s.Watch(store.TableTasks, store.TableTaskStatus, store.TableAttachments)
	defer w.Close()
	if _, err := w.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: "t1.10", State: warrenv1.TaskState_TASK_STATE_STOPPED}, ns, "t1.10")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Attachments().Delete(ns, "vol", "t1.3") }); err != nil {
		t.Fatal(err)
	}
	changes, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.forgetTasks(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	if got := left(t, s); slices.Contains(got, "t1.3") || !slices.Contains(got, "t1.2") {
		t.Errorf("after the release: %v", got)
	}
}

// left lists the tasks' IDs; each must have its status.
func left(t *testing.T, s *store.Store) (tasks []string) {
	t.Helper()
	var statuses []string
	if err := s.View(t.Context(), func(tx *store.ReadTx) error {
		for key := range tx.Tasks().Keys() {
			tasks = append(tasks, key.ID())
		}
		for key := range tx.TaskStatus().Keys() {
			statuses = append(statuses, key.ID())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tasks, statuses) {
		t.Errorf("tasks %v, statuses %v", tasks, statuses)
	}
	return tasks
}

func TestOldRequestsAreForgotten(t *testing.T) {
	s := testkit.NewStore(t)
	now := time.Now()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		for id, age := range map[string]time.Duration{"new": time.Minute, "old": 2 * time.Hour} {
			if err := tx.Requests().Put(&storepb.Request{DoneAt: timestamppb.New(now.Add(-age))}, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := s.Watch(store.TableRequests)
	defer w.Close()
	if _, err := w.Next(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- New(s, slog.New(slog.DiscardHandler)).Run(ctx) }()
	if _, err := w.Next(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var ids []store.Key
	if err := s.View(t.Context(), func(tx *store.ReadTx) error {
		ids = slices.Collect(tx.Requests().Keys())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, []store.Key{"new"}) {
		t.Errorf("left are %v", ids)
	}
}
