package dispatch

import (
	"context"
	"errors"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// standingOf is what a node is in the cluster, and where its managers are.
func (t *term) standingOf(ctx context.Context, nodeID string) (s *warrenv1.Standing, err error) {
	err = t.Store.ViewStale(ctx, func(tx *store.ReadTx) error {
		node, err := tx.Nodes().Get(nodeID)
		if errors.Is(err, store.ErrNotFound) {
			return errNoMember
		}
		s = &warrenv1.Standing{Roles: node.GetRoles(), Managers: managers(tx)}
		return err
	})
	return s, err
}

// managers lists the addresses of all managers.
func managers(tx *store.ReadTx) (out []string) {
	for _, node := range tx.Nodes().List() {
		if slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) && node.GetAddress() != "" {
			out = append(out, node.GetAddress())
		}
	}
	return out
}

// tellStandings tells workers when they are something else than they were, and
// all of them when the managers are.
func (t *term) tellStandings(ctx context.Context) error {
	w := t.Store.Watch(store.TableNodes)
	defer w.Close()
	var told []string
	for {
		changes, err := w.Next(ctx)
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		err = t.Store.ViewStale(ctx, func(tx *store.ReadTx) error {
			now := managers(tx)
			concerned := changes.Keys(store.TableNodes)
			if !slices.Equal(now, told) {
				told, concerned = now, slices.Collect(tx.Nodes().Keys())
			}
			for _, key := range concerned {
				if err := t.tellStanding(tx, key, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (t *term) tellStanding(tx *store.ReadTx, key store.Key, managers []string) error {
	s := t.session(key.ID())
	if s == nil {
		return nil
	}
	node, err := tx.Nodes().Get(key.ID())
	if err != nil {
		return unlessNotFound(err) // the session of a removed node is ended elsewhere
	}
	s.post(func(o *outbox) { o.standing = &warrenv1.Standing{Roles: node.GetRoles(), Managers: managers} })
	return nil
}
