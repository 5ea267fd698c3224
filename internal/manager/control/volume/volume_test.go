package volume

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

type house struct {
	t     *testing.T
	ctx   context.Context
	store *store.Store
	*Reconciler
	watch *store.Watcher
}

func newHouse(t *testing.T) *house {
	s := testkit.NewStore(t)
	h := &house{t: t, ctx: t.Context(), store: s, Reconciler: New(s, slog.New(slog.DiscardHandler)), watch: s.Watch()}
	t.Cleanup(h.watch.Close)
	return h
}

func (h *house) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.store.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

// act lets the reconciler see what changed since it was called last.
func (h *house) act() {
	h.t.Helper()
	changes, err := h.watch.Next(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.react(h.ctx, changes); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) attach(volume, task string, exclusive bool) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		hold, err := tx.Holds().Get(ns, volume)
		if errors.Is(err, store.ErrNotFound) {
			hold = &storepb.Hold{}
		}
		hold.Holders++
		if exclusive {
			hold.ExclusiveTaskId = task
		}
		if err := tx.Holds().Put(hold, ns, volume); err != nil {
			return err
		}
		return tx.Attachments().Put(&warrenv1.Attachment{VolumeId: volume, TaskId: task}, ns, volume, task)
	})
}

func (h *house) state(task string, s warrenv1.TaskState) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		return tx.TaskStatus().Put(&warrenv1.TaskStatus{TaskId: task, State: s}, ns, task)
	})
}

func (h *house) holders(volume string) (n uint32, exclusive string, attachments int) {
	h.t.Helper()
	if err := h.store.View(h.ctx, func(tx *store.ReadTx) error {
		hold, err := tx.Holds().Get(ns, volume)
		for range tx.Attachments().OfVolume(ns, volume) {
			attachments++
		}
		n, exclusive = hold.GetHolders(), hold.GetExclusiveTaskId()
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	return n, exclusive, attachments
}

func TestVolumesAreReleasedWhenTheirTaskIsOverAndNotBefore(t *testing.T) {
	h := newHouse(t)
	h.attach("data", "a", true)
	h.attach("logs", "a", false)
	h.attach("logs", "b", false)
	h.state("b", warrenv1.TaskState_TASK_STATE_RUNNING)
	h.state("a", warrenv1.TaskState_TASK_STATE_STOPPING)
	h.act()
	if n, exclusive, _ := h.holders("data"); n != 1 || exclusive != "a" {
		t.Fatalf("while the task is stopping: %d holders, %q", n, exclusive)
	}
	h.state("a", warrenv1.TaskState_TASK_STATE_STOPPED)
	h.act()
	if n, exclusive, attachments := h.holders("data"); n != 0 || exclusive != "" || attachments != 0 {
		t.Errorf("data is held by %d, %q, %d attachments", n, exclusive, attachments)
	}
	if n, _, attachments := h.holders("logs"); n != 1 || attachments != 1 {
		t.Errorf("logs is held by %d, %d attachments", n, attachments)
	}
	// A second look finds nothing to count down again.
	if err := h.react(h.ctx, store.Changes{All: true}); err != nil {
		t.Fatal(err)
	}
	if err := h.release(h.ctx, []store.Key{store.KeyOf(ns, "logs", "a")}); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := h.holders("logs"); n != 1 {
		t.Errorf("logs is held by %d after a second release", n)
	}
}

func TestAVolumeLeavesWhenItsNodeHasConfirmed(t *testing.T) {
	h := newHouse(t)
	deleted := timestamppb.Now()
	h.update(func(tx *store.Tx) error {
		for id, v := range map[string]*warrenv1.Volume{
			"kept": {NodeId: "n1"}, "waits": {NodeId: "n1", DeletedAt: deleted}, "gone": {NodeId: "n1", DeletedAt: deleted},
			"held": {NodeId: "n1", DeletedAt: deleted}, "never": {DeletedAt: deleted},
		} {
			v.Meta = &warrenv1.Meta{Id: id, Name: "name-of-" + id, Namespace: ns}
			if err := tx.Volumes().Create(v); err != nil {
				return err
			}
			phase := warrenv1.VolumePhase_VOLUME_PHASE_GONE
			if id == "waits" {
				phase = warrenv1.VolumePhase_VOLUME_PHASE_READY
			}
			if err := tx.VolumeStatus().Put(&warrenv1.VolumeStatus{VolumeId: id, Phase: phase}, ns, id); err != nil {
				return err
			}
			if err := tx.Uses().Put(&storepb.Uses{}, ns, id); err != nil {
				return err
			}
		}
		return nil
	})
	h.attach("held", "a", false)
	h.state("a", warrenv1.TaskState_TASK_STATE_RUNNING)
	h.act()
	left := map[string]bool{}
	check := func(want ...string) {
		t.Helper()
		clear(left)
		if err := h.store.View(h.ctx, func(tx *store.ReadTx) error {
			for key := range tx.Volumes().Keys() {
				left[key.ID()] = true
				if _, err := tx.VolumeStatus().Get(key.Parts()...); err != nil {
					return err
				}
				if _, err := tx.Volumes().ByName(ns, "name-of-"+key.ID()); err != nil {
					return err
				}
			}
			statuses, uses := 0, 0
			for range tx.VolumeStatus().Keys() {
				statuses++
			}
			for range tx.Uses().Keys() {
				uses++
			}
			if statuses != len(left) || uses != len(left) {
				t.Errorf("%d volumes, %d statuses and %d uses are left", len(left), statuses, uses)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, id := range want {
			if !left[id] {
				t.Errorf("%s is gone", id)
			}
		}
		if len(left) != len(want) {
			t.Errorf("left are %v, want %v", left, want)
		}
	}
	check("kept", "waits", "held")
	h.state("a", warrenv1.TaskState_TASK_STATE_STOPPED)
	h.act() // released
	h.act() // removed
	check("kept", "waits")
}
