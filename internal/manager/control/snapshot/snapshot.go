// Package snapshot ends what snapshots were part of, and begins those that are
// due: a restore that is over lets its services start again; a snapshot whose
// volume is no more goes too; schedules have snapshots taken, and the oldest of
// theirs removed.
//
// A snapshot leaves the state once its node has said that it is gone, or the
// node is no more itself.
//
// The package is the one that clears Volume.restore and removes the rows of
// snapshots; it makes the snapshots of schedules, starts services that were
// stopped for a restore, and writes ScheduleStatus.
package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// maxBatch bounds the rows of one transaction.
const maxBatch = 128

// Config is what a Reconciler is made of.
type Config struct {
	Store *store.Store
	// Clock tells when a schedule is due; Rand is what IDs are made of.
	Clock func() time.Time
	Rand  func() spec.Random
	Log   *slog.Logger
}

// Reconciler looks after snapshots.
type Reconciler struct {
	Config
	store *store.Store
}

// New returns a reconciler that does nothing before Run.
func New(c Config) *Reconciler { return &Reconciler{c, c.Store} }

// Run works until ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var aside sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer aside.Wait()
	defer cancel()
	aside.Go(func() { r.follow(ctx) })
	return reconcile.Run(ctx, r.store, r.Log, r.react,
		store.TableSnapshots, store.TableSnapshotStatus, store.TableVolumes, store.TableVolumeStatus, store.TableNodes)
}

func (r *Reconciler) react(ctx context.Context, changes store.Changes) error {
	if changes.Any(store.TableVolumes, store.TableVolumeStatus) {
		if err := r.endRestores(ctx, changes); err != nil {
			return err
		}
	}
	if err := r.drop(ctx); err != nil {
		return err
	}
	return r.remove(ctx)
}

// drop asks for the end of snapshots that nobody can want any more: those of
// volumes that are gone, those that a schedule took or was to take and does not
// keep, and those of clones that were cut off.
func (r *Reconciler) drop(ctx context.Context) error {
	return r.each(ctx, unwanted, func(tx *store.Tx, snapshot *warrenv1.Snapshot) error {
		snapshot.DeletedAt = timestamppb.New(r.Clock())
		return tx.Snapshots().Put(snapshot)
	})
}

// remove forgets those that are gone.
func (r *Reconciler) remove(ctx context.Context) error {
	return r.each(ctx, gone, func(tx *store.Tx, snapshot *warrenv1.Snapshot) error {
		m := snapshot.GetMeta()
		return errors.Join(tx.SnapshotStatus().Delete(m.GetNamespace(), m.GetId()), tx.Snapshots().Delete(snapshot),
			tx.Events().Append(r.about(spec.KindSnapshot, m, "deleted", "of volume "+snapshot.GetVolume())))
	})
}

// each does something to the snapshots that are found, a batch at a time.
func (r *Reconciler) each(ctx context.Context, find func(*store.ReadTx) ([]store.Key, error), do func(*store.Tx, *warrenv1.Snapshot) error) error {
	var keys []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
		keys, err = find(tx)
		return err
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(keys, maxBatch) {
		err := r.store.Update(ctx, func(tx *store.Tx) error {
			tx.Reclaim()
			for _, key := range batch {
				snapshot, err := tx.Snapshots().Get(key.Parts()...)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if err := do(tx, snapshot); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gone lists deleted snapshots that are nowhere any more.
func gone(tx *store.ReadTx) (keys []store.Key, err error) {
	for key, snapshot := range tx.Snapshots().List() {
		if snapshot.GetDeletedAt() == nil {
			continue
		}
		status, err := tx.SnapshotStatus().Peek(key.Parts()...)
		if unlessNotFound(err) != nil {
			return nil, err
		}
		_, lost := tx.Nodes().Peek(snapshot.GetNodeId())
		if status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_GONE || errors.Is(lost, store.ErrNotFound) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// unwanted lists the snapshots that drop is to drop.
func unwanted(tx *store.ReadTx) (keys []store.Key, err error) {
	scheduled := map[string][]*warrenv1.Snapshot{} // by volume
	for key, snapshot := range tx.Snapshots().List() {
		if snapshot.GetDeletedAt() != nil {
			continue
		}
		volume, err := tx.Volumes().Peek(key.Namespace(), snapshot.GetVolumeId())
		if unlessNotFound(err) != nil {
			return nil, err
		}
		status, err := tx.SnapshotStatus().Peek(key.Parts()...)
		if unlessNotFound(err) != nil {
			return nil, err
		}
		failed := status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_FAILED
		switch {
		case volume == nil || volume.GetPurge():
			keys = append(keys, key)
		case snapshot.GetOrigin() != warrenv1.SnapshotOrigin_SNAPSHOT_ORIGIN_SCHEDULE:
		case failed:
			keys = append(keys, key) // its event tells why
		case status.GetPhase() == warrenv1.SnapshotPhase_SNAPSHOT_PHASE_READY:
			id := snapshot.GetVolumeId()
			scheduled[id] = append(scheduled[id], snapshot)
		}
	}
	for id, all := range scheduled {
		more, err := beyondKeep(tx, id, all)
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// beyondKeep lists the oldest of a schedule's snapshots that it keeps no more.
// Without a schedule they stay.
func beyondKeep(tx *store.ReadTx, volumeID string, all []*warrenv1.Snapshot) (keys []store.Key, err error) {
	namespace := all[0].GetMeta().GetNamespace()
	schedule, err := tx.Schedules().Peek(namespace, volumeID)
	if err != nil {
		return nil, unlessNotFound(err)
	}
	slices.SortFunc(all, func(a, b *warrenv1.Snapshot) int {
		return b.GetMeta().GetCreatedAt().AsTime().Compare(a.GetMeta().GetCreatedAt().AsTime())
	})
	for _, snapshot := range all[min(int(schedule.GetKeep()), len(all)):] {
		keys = append(keys, store.KeyOf(namespace, snapshot.GetMeta().GetId()))
	}
	return keys, nil
}

func (r *Reconciler) about(kind string, m *warrenv1.Meta, reason, message string) *warrenv1.Event {
	return &warrenv1.Event{
		Time: timestamppb.New(r.Clock()), Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(),
		Reason: reason, Message: message,
	}
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
