// Package member makes those nodes take part in the agreement that the state
// calls managers, and no others: whoever admits, promotes, demotes or removes a
// node only writes the node's row. It also writes down which of them answer.
package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// Agreement is who takes part, and how to change that.
type Agreement interface {
	Members() ([]consensus.Member, error)
	AddManager(ctx context.Context, nodeID, address string) error
	RemoveManager(ctx context.Context, nodeID string) error
}

// catchUpLimit is how long a new manager may take to get the whole state; then
// it is tried anew, after the others.
const catchUpLimit = 30 * time.Second

// Reconciler changes the agreement's members.
type Reconciler struct {
	store     *store.Store
	agreement Agreement
	log       *slog.Logger
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, a Agreement, log *slog.Logger) *Reconciler { return &Reconciler{s, a, log} }

// Run works until ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var observing sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer observing.Wait()
	defer cancel()
	observing.Go(func() { r.observe(ctx) })
	return reconcile.Run(ctx, r.store, r.log, r.react, store.TableNodes)
}

func (r *Reconciler) react(ctx context.Context, _ store.Changes) error {
	wanted, resigning := map[string]*warrenv1.Node{}, map[string]*warrenv1.Node{}
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, node := range tx.Nodes().List() {
			switch {
			case !slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER):
			case node.GetResigning():
				resigning[node.GetMeta().GetId()] = node
			default:
				wanted[node.GetMeta().GetId()] = node
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	members, err := r.agreement.Members()
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range members {
		node := wanted[m.NodeID]
		if node == nil {
			err := r.remove(ctx, m)
			if err != nil {
				delete(resigning, m.NodeID)
			}
			failed = append(failed, err)
		} else if m.Voter {
			delete(wanted, m.NodeID)
			failed = append(failed, r.noteAddress(ctx, node, m.Address))
		}
	}
	for id := range resigning {
		failed = append(failed, r.dismiss(ctx, id))
	}
	for id, node := range wanted {
		failed = append(failed, r.add(ctx, id, node))
	}
	return errors.Join(failed...)
}

func (r *Reconciler) add(ctx context.Context, id string, node *warrenv1.Node) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpLimit)
	defer cancel()
	name := node.GetMeta().GetName()
	if err := r.agreement.AddManager(ctx, id, node.GetAddress()); err != nil {
		return fmt.Errorf("add the manager %s: %w", name, err)
	}
	r.log.Info("a manager takes part from now on", "manager", name, "address", node.GetAddress())
	return nil
}

func (r *Reconciler) remove(ctx context.Context, m consensus.Member) error {
	if err := r.agreement.RemoveManager(ctx, m.NodeID); err != nil {
		return fmt.Errorf("remove the manager %s: %w", m.NodeID, err)
	}
	r.log.Info("a manager takes part no longer", "id", m.NodeID, "address", m.Address)
	return nil
}

// dismiss writes down that a node that resigned is no manager any more, now
// that nobody needs its vote. Its earlier certificates are those of none.
func (r *Reconciler) dismiss(ctx context.Context, id string) error {
	return r.store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Nodes().Get(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && !row.GetResigning() {
			return nil // removed meanwhile, or promoted again
		}
		if err != nil {
			return err
		}
		row.Roles = slices.DeleteFunc(row.GetRoles(), func(role warrenv1.Role) bool { return role == warrenv1.Role_ROLE_MANAGER })
		row.Resigning, row.Address = false, ""
		now, m := timestamppb.Now(), row.GetMeta()
		return errors.Join(tx.Nodes().Put(row), tx.ManagerStatus().Delete(id), tx.Retired().Put(&storepb.Retired{At: now}, id),
			tx.Events().Append(&warrenv1.Event{
				Time: now, Kind: spec.KindNode, Name: m.GetName(), Id: id, Reason: "demoted", Message: "it is no manager any more",
			}))
	})
}

// noteAddress writes down where a manager is now: it tells the agreement, and
// workers and people read the row.
func (r *Reconciler) noteAddress(ctx context.Context, node *warrenv1.Node, address string) error {
	if node.GetAddress() == address {
		return nil
	}
	return r.store.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.Nodes().Get(node.GetMeta().GetId())
		if errors.Is(err, store.ErrNotFound) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		row.Address = address
		return tx.Nodes().Put(row)
	})
}
