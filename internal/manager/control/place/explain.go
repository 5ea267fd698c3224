package place

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/schedule"
	"github.com/cuemby/warren/internal/manager/store"
)

// explain writes why things wait, where that is not what their status says
// already; otherwise each look at a waiting task would cost a transaction.
func (r *Reconciler) explain(ctx context.Context, waits []schedule.Wait, look func(*store.ReadTx, schedule.Wait) (func(*store.Tx) error, error)) error {
	var news []schedule.Wait
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, w := range waits {
			change, err := look(tx, w)
			if err != nil {
				return err
			} else if change != nil {
				news = append(news, w)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return inBatches(ctx, r.store, news, func(tx *store.Tx, w schedule.Wait) error {
		change, err := look(&tx.ReadTx, w)
		if err != nil || change == nil {
			return err
		}
		return change(tx)
	})
}

// explainTask returns the change that makes the task's status say why it
// waits; nil if there is none to make.
func explainTask(tx *store.ReadTx, w schedule.Wait) (func(*store.Tx) error, error) {
	key := store.Key(w.ID)
	task, err := tx.Tasks().Get(key.Parts()...)
	if err != nil || !waits(task) {
		return nil, unlessNotFound(err)
	}
	status, err := tx.TaskStatus().Get(key.Parts()...)
	if unlessNotFound(err) != nil || status.GetMessage() == w.Reason {
		return nil, unlessNotFound(err)
	}
	if err != nil {
		status = &warrenv1.TaskStatus{TaskId: key.ID(), State: warrenv1.TaskState_TASK_STATE_PENDING, StateSince: timestamppb.Now()}
	}
	status.Message = w.Reason
	return func(tx *store.Tx) error { return tx.TaskStatus().Put(status, key.Parts()...) }, nil
}

// explainVolume does the same for a volume without a node.
func explainVolume(tx *store.ReadTx, w schedule.Wait) (func(*store.Tx) error, error) {
	key := store.Key(w.ID)
	volume, err := tx.Volumes().Get(key.Parts()...)
	if err != nil || !unplaced(volume) {
		return nil, unlessNotFound(err)
	}
	status, err := tx.VolumeStatus().Get(key.Parts()...)
	if unlessNotFound(err) != nil || status.GetMessage() == w.Reason {
		return nil, unlessNotFound(err)
	}
	status = &warrenv1.VolumeStatus{VolumeId: key.ID(), Phase: warrenv1.VolumePhase_VOLUME_PHASE_PENDING, Message: w.Reason}
	return func(tx *store.Tx) error { return tx.VolumeStatus().Put(status, key.Parts()...) }, nil
}
