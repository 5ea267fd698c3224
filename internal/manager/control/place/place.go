// Package place gives tasks and volumes their nodes. It reads what waits, lets
// package schedule decide, and writes each placement with everything that
// follows from it in one transaction: the task's node, an attachment and the
// hold of each volume, and the node of a volume that had none. So there is no
// moment at which a task is placed and its volume is not held.
//
// The package is the writer of Task.node_id, Volume.node_id and
// Volume.pinned, makes Attachments and Holds, and says in the status of what
// has no node yet why it waits.
package place

import (
	"context"
	"log/slog"
	"slices"

	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
)

// One transaction takes at most maxBatch placements or reasons, and about
// maxBytes of tasks.
const (
	maxBatch = 256
	maxBytes = 256 << 10
)

// Reconciler places tasks and volumes.
type Reconciler struct {
	store  *store.Store
	log    *slog.Logger
	census *census
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, log *slog.Logger) *Reconciler {
	return &Reconciler{store: s, log: log, census: newCensus()}
}

// Run places what waits, until ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	return reconcile.Run(ctx, r.store, r.log, r.react,
		store.TableNodes, store.TableNodeStatus, store.TableTasks, store.TableTaskStatus,
		store.TableVolumes, store.TableAttachments)
}

func (r *Reconciler) react(ctx context.Context, changes store.Changes) error {
	var decided schedule.Decisions
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		matters, err := r.census.take(tx, changes)
		if err != nil || !matters || len(r.census.waitingTasks)+len(r.census.waitingVolumes) == 0 {
			return err
		}
		snapshot, hopeless, err := r.census.snapshot(tx)
		if err != nil {
			return err
		}
		decided = schedule.Decide(snapshot)
		decided.WaitingTasks = append(decided.WaitingTasks, hopeless...)
		return nil
	})
	if err != nil {
		return err
	}
	return r.write(ctx, decided)
}

// write makes the decisions true. Each is checked again against what is
// committed by then; one that no longer holds is left out, and what changed
// brings it up again.
func (r *Reconciler) write(ctx context.Context, d schedule.Decisions) error {
	if err := r.placeTasks(ctx, d.Tasks); err != nil {
		return err
	}
	// What a task took along is placed by now and left out.
	if err := inBatches(ctx, r.store, d.Volumes, placeVolume); err != nil {
		return err
	}
	if err := r.explain(ctx, d.WaitingTasks, explainTask); err != nil {
		return err
	}
	return r.explain(ctx, d.WaitingVolumes, explainVolume)
}

func (r *Reconciler) placeTasks(ctx context.Context, rest []schedule.Placement) error {
	for len(rest) > 0 {
		done := 0
		err := r.store.Update(ctx, func(tx *store.Tx) error {
			bytes := 0
			for done = 0; done < len(rest) && done < maxBatch && bytes < maxBytes; done++ {
				size, err := placeTask(tx, store.Key(rest[done].ID), rest[done].NodeID)
				if err != nil {
					return err
				}
				bytes += size
			}
			return nil
		})
		if err != nil {
			return err
		}
		rest = rest[done:]
	}
	return nil
}

func inBatches[T any](ctx context.Context, s *store.Store, items []T, write func(*store.Tx, T) error) error {
	for batch := range slices.Chunk(items, maxBatch) {
		err := s.Update(ctx, func(tx *store.Tx) error {
			for _, item := range batch {
				if err := write(tx, item); err != nil {
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
