package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// A manager that has not answered for silence is down; the leader looks every
// glance. Both are long against Raft's own heartbeats.
const (
	glance  = 500 * time.Millisecond
	silence = 4 * time.Second
)

// observe writes down which managers answer, until ctx ends.
func (r *Reconciler) observe(ctx context.Context) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if err := r.note(ctx, began, now); err != nil && ctx.Err() == nil {
				r.log.Error("which managers answer was not written down; it is tried again", "error", err)
			}
		}
	}
}

// note writes the state of each member that has another one now.
func (r *Reconciler) note(ctx context.Context, began, now time.Time) error {
	members, err := r.agreement.Members()
	if err != nil {
		return err
	}
	var changed []*warrenv1.ManagerStatus
	err = r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, m := range members {
			was, err := tx.ManagerStatus().Get(m.NodeID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if is := stateOf(m, began, now); was == nil || was.GetState() != is {
				changed = append(changed, newStatus(m.NodeID, is, now))
			}
		}
		return nil
	})
	if err != nil || len(changed) == 0 {
		return err
	}
	return r.store.Update(ctx, func(tx *store.Tx) error {
		for _, status := range changed {
			if err := record(tx, status); err != nil {
				return err
			}
		}
		return nil
	})
}

// stateOf judges a member; who began to lead a moment ago has heard of nobody
// yet.
func stateOf(m consensus.Member, began, now time.Time) warrenv1.ManagerState {
	heard := m.Heard
	if heard.Before(began) {
		heard = began
	}
	switch {
	case now.Sub(heard) > silence:
		return warrenv1.ManagerState_MANAGER_STATE_DOWN
	case !m.Voter:
		return warrenv1.ManagerState_MANAGER_STATE_JOINING
	default:
		return warrenv1.ManagerState_MANAGER_STATE_READY
	}
}

func newStatus(id string, state warrenv1.ManagerState, now time.Time) *warrenv1.ManagerStatus {
	s := &warrenv1.ManagerStatus{NodeId: id, State: state, StateSince: timestamppb.New(now)}
	if state == warrenv1.ManagerState_MANAGER_STATE_DOWN {
		s.Message = fmt.Sprintf("its manager has not answered for %v", silence)
	}
	return s
}

// record writes a manager's state, with an event, unless it was removed.
func record(tx *store.Tx, status *warrenv1.ManagerStatus) error {
	node, err := tx.Nodes().Get(status.GetNodeId())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	m := node.GetMeta()
	return errors.Join(tx.ManagerStatus().Put(status, m.GetId()), tx.Events().Append(&warrenv1.Event{
		Time: status.GetStateSince(), Kind: spec.KindNode, Name: m.GetName(), Id: m.GetId(),
		Reason: "manager-" + spec.ManagerStateName(status.GetState()), Message: status.GetMessage(),
	}))
}
