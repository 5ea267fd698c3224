package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

const (
	defaultTokenTTL = 24 * time.Hour
	minTokenTTL     = time.Minute
	maxTokenTTL     = 365 * 24 * time.Hour
)

var (
	nodeRoles   = []warrenv1.Role{warrenv1.Role_ROLE_WORKER, warrenv1.Role_ROLE_MANAGER}
	clientRoles = []warrenv1.Role{warrenv1.Role_ROLE_READER, warrenv1.Role_ROLE_ADMIN}
)

// CreateToken notes a token that the caller made.
func (j *joining) CreateToken(ctx context.Context, r *warrenv1.CreateTokenRequest) (*warrenv1.JoinToken, error) {
	token, err := j.newToken(r)
	if err != nil {
		return nil, err
	}
	_, err = j.commit(ctx, func(tx *store.Tx) (string, error) {
		for key, old := range tx.Tokens().List() {
			stale := j.config.Clock().After(old.GetExpiresAt().AsTime())
			if stale || r.GetRotate() && old.GetRole() == token.GetRole() && old.GetClient() == token.GetClient() {
				if err := tx.Tokens().Delete(key.ID()); err != nil {
					return "", err
				}
			}
		}
		if token.GetClient() != "" {
			if old, err := optional(tx.Clients().ByName("", token.GetClient())); err != nil {
				return "", err
			} else if old != nil {
				return "", clientExists(token.GetClient())
			}
		}
		if _, err := tx.Tokens().Get(token.GetId()); err == nil {
			return "", spec.Problemf(spec.Exists, spec.KindToken, token.GetId(), "there is a join token of this ID already")
		}
		return token.GetId(), errors.Join(tx.Tokens().Put(token, token.GetId()),
			j.auditWith(ctx, tx, &warrenv1.AuditRecord{
				Action: "created", Kind: spec.KindToken, Name: token.GetId(), Id: token.GetId(), Message: tokenFor(token),
			}))
	})
	return token, err
}

func (j *joining) newToken(r *warrenv1.CreateTokenRequest) (*warrenv1.JoinToken, error) {
	ttl := r.GetTtl().AsDuration()
	if r.GetTtl() == nil {
		ttl = defaultTokenTTL
	}
	invalid := func(format string, args ...any) error {
		return spec.Problemf(spec.Invalid, spec.KindToken, r.GetId(), format, args...)
	}
	switch {
	case r.GetId() == "" || len(r.GetId()) > 64 || strings.ContainsRune(r.GetId(), '/'):
		return nil, invalid("the join token has no ID that is one")
	case len(r.GetHash()) != sha256.Size:
		return nil, invalid("the join token comes with no hash of its secret")
	case ttl < minTokenTTL || ttl > maxTokenTTL:
		return nil, invalid("a join token is valid for %v to %v, not %v", minTokenTTL, maxTokenTTL, ttl)
	case r.GetClient() == "" && !slices.Contains(nodeRoles, r.GetRole()):
		return nil, invalid("a node joins as manager or worker, not as %s", roleName(r.GetRole()))
	case r.GetClient() != "" && !slices.Contains(clientRoles, r.GetRole()):
		return nil, invalid("a person is reader or admin, not %s", roleName(r.GetRole()))
	}
	if r.GetClient() != "" {
		if err := spec.ValidName(spec.KindClient, r.GetClient()); err != nil {
			return nil, err
		}
	}
	return &warrenv1.JoinToken{
		Id: r.GetId(), Hash: r.GetHash(), Role: r.GetRole(), Client: r.GetClient(),
		SingleUse: r.GetSingleUse() || r.GetClient() != "",
		CreatedAt: j.now(), ExpiresAt: timestamppb.New(j.config.Clock().Add(ttl)),
	}, nil
}

// tokenFor says what a token makes of who shows it.
func tokenFor(t *warrenv1.JoinToken) string {
	if t.GetClient() != "" {
		return "for " + roleName(t.GetRole()) + " " + t.GetClient()
	}
	return "for nodes as " + roleName(t.GetRole())
}

func roleName(r warrenv1.Role) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}

// ListClients lists the people and programs that have certificates.
func (j *joining) ListClients(ctx context.Context, f *warrenv1.Filter) (*warrenv1.ListClientsResponse, error) {
	if _, err := checkFilter(f); err != nil {
		return nil, err
	}
	out := &warrenv1.ListClientsResponse{}
	err := j.store.View(ctx, func(tx *store.ReadTx) error {
		for _, c := range tx.Clients().List() {
			if spec.MatchLabels(c.GetMeta().GetLabels(), f.GetLabels()) {
				out.Clients = append(out.Clients, c)
			}
		}
		return nil
	})
	return out, err
}

// RevokeClient makes a client's certificate worth nothing. Root on a manager
// needs none, so nobody can be locked out for good.
func (j *joining) RevokeClient(ctx context.Context, ref *warrenv1.Ref) (client *warrenv1.Client, err error) {
	id, err := j.commit(ctx, func(tx *store.Tx) (string, error) {
		if client, err = find(tx.Clients(), spec.KindClient, ref); err != nil {
			return "", err
		}
		return client.GetMeta().GetId(), errors.Join(tx.Clients().Delete(client),
			j.audit(ctx, tx, "revoked", spec.KindClient, client.GetMeta()))
	})
	if err == nil && client == nil { // the request was done before
		client = &warrenv1.Client{Meta: &warrenv1.Meta{Id: id, Name: ref.GetNameOrId()}}
	}
	if err == nil {
		j.log.Info("revoked a client", "client", client.GetMeta().GetName(), "by", fmt.Sprint(callerName(ctx)))
	}
	return client, err
}
