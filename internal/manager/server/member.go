package server

import (
	"context"
	"errors"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// Member returns who a verified certificate names, if the cluster still knows
// it: a certificate by itself says only who its holder was when it was issued.
// The roles are those that both the certificate and the member's row have, so
// that what is taken away is gone at once.
func (s *Server) Member(ctx context.Context, id pki.Identity) (Caller, error) {
	caller, err := s.member(ctx, s.store.ViewStale, id)
	if errors.Is(err, store.ErrNotFound) {
		// This manager may not know yet who joined a moment ago.
		caller, err = s.member(ctx, s.store.View, id)
	}
	if errors.Is(err, store.ErrNotLeader) {
		caller, err = s.awaitMember(ctx, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		return Caller{}, spec.Problemf(spec.Denied, spec.KindMember, id.Name, "%s is no member of the cluster any more: the certificate was revoked", id.Name).
			WithHint("join again, with a new token")
	}
	return caller, err
}

// newsLimit is how long a manager that does not lead waits to hear of a member.
const newsLimit = time.Second

// awaitMember is for a manager that follows: it hears of new members a little
// later than they do.
func (s *Server) awaitMember(ctx context.Context, id pki.Identity) (c Caller, err error) {
	w := s.store.Watch(store.TableNodes, store.TableClients)
	defer w.Close()
	still, cancel := context.WithTimeout(ctx, newsLimit)
	defer cancel()
	err = store.ErrNotFound
	for errors.Is(err, store.ErrNotFound) {
		if _, late := w.Next(still); late != nil {
			return c, errors.Join(err, ctx.Err())
		}
		c, err = s.member(ctx, s.store.ViewStale, id)
	}
	return c, err
}

func (s *Server) member(ctx context.Context, view func(context.Context, func(*store.ReadTx) error) error, id pki.Identity) (c Caller, err error) {
	err = view(ctx, func(tx *store.ReadTx) error {
		if isNode(id) {
			node, err := tx.Nodes().Get(id.Name)
			c = newCaller(node.GetMeta(), id, node.GetRoles())
			return err
		}
		client, err := tx.Clients().Get(id.Name)
		c = newCaller(client.GetMeta(), id, []warrenv1.Role{client.GetRole()})
		return err
	})
	return c, err
}

func newCaller(m *warrenv1.Meta, id pki.Identity, roles []warrenv1.Role) Caller {
	c := Caller{ID: m.GetId(), Name: m.GetName()}
	for _, role := range id.Roles {
		if slices.Contains(roles, role) {
			c.Roles = append(c.Roles, role)
		}
	}
	return c
}

func isNode(id pki.Identity) bool {
	return id.Has(warrenv1.Role_ROLE_MANAGER) || id.Has(warrenv1.Role_ROLE_WORKER)
}
