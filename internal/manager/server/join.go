package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

type joining struct {
	warrenv1.UnimplementedJoiningServer
	*Server
}

// Join admits who shows a good token. Whoever asks again with the same key
// gets another certificate for what it is already, so that an answer that was
// lost does no harm; a token that can be used once is used up in the same
// transaction that makes the member.
func (j *joining) Join(ctx context.Context, r *warrenv1.JoinRequest) (*warrenv1.JoinResponse, error) {
	pub, keyHash, err := pki.ParseRequest(r.GetCertificateRequest())
	if err != nil {
		return nil, spec.Problemf(spec.Invalid, "", "", "%v", err)
	}
	var m *admitted
	err = j.store.Update(ctx, func(tx *store.Tx) error {
		token, err := j.checkToken(tx, r)
		if err != nil {
			return err
		}
		if token.GetClient() != "" {
			m, err = j.admitClient(tx, token, keyHash)
		} else {
			m, err = j.admitNode(tx, token, r, keyHash)
		}
		if err != nil {
			return err
		}
		return j.auditWith(ctx, tx, admission(m, token))
	})
	if err != nil {
		var p *spec.Problem
		if errors.As(err, &p) {
			j.log.Warn("refused to let somebody join", "token", r.GetTokenId(), "name", r.GetName(), "why", p)
		}
		return nil, err
	}
	certificate, err := j.issue(pub, m.id, m.roles)
	if err != nil {
		return nil, err
	}
	answer := &warrenv1.JoinResponse{
		ClusterId: j.config.Vault.ClusterID(), Id: m.id, Name: m.name, Role: m.roles[0],
		Certificate: certificate, CaCertificate: j.config.Vault.CACertificate(),
	}
	if answer.Managers, err = j.managers(ctx); err != nil {
		return nil, err
	}
	if slices.Contains(m.roles, warrenv1.Role_ROLE_MANAGER) {
		if answer.SealedUnlockKey, err = j.sealUnlockKey(m.id, r.GetSealingKey()); err == nil {
			answer.Autolock, err = j.autolock(ctx)
		}
	}
	j.log.Info("admitted", "id", m.id, "name", m.name, "role", m.roles[0], "token", r.GetTokenId())
	return answer, err
}

// admitted is who a token made a member.
type admitted struct {
	id, name string
	roles    []warrenv1.Role
}

// admission is what is recorded of somebody who was admitted.
func admission(m *admitted, token *warrenv1.JoinToken) *warrenv1.AuditRecord {
	kind := spec.KindNode
	if token.GetClient() != "" {
		kind = spec.KindClient
	}
	return &warrenv1.AuditRecord{
		Actor: m.name, ActorId: m.id, Role: m.roles[0],
		Action: "joined", Kind: kind, Name: m.name, Id: m.id,
		Message: "as " + roleName(m.roles[0]) + ", with token " + token.GetId(),
	}
}

// checkToken returns a token that is known and whose secret was said. What is
// wrong with it is told only to who knows the secret.
func (j *joining) checkToken(tx *store.Tx, r *warrenv1.JoinRequest) (*warrenv1.JoinToken, error) {
	notValid := spec.Problemf(spec.Denied, spec.KindToken, r.GetTokenId(), "the join token is not valid: it is mistyped, or was revoked").
		WithHint("warren cluster join-token worker, on a machine of the cluster, makes a new one")
	token, err := tx.Tokens().Get(r.GetTokenId())
	if errors.Is(err, store.ErrNotFound) {
		return nil, notValid
	}
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(token.GetHash(), pki.HashTokenSecret(r.GetTokenSecret())) != 1 {
		return nil, notValid
	}
	if at := token.GetExpiresAt().AsTime(); j.config.Clock().After(at) {
		return nil, spec.Problemf(spec.Denied, spec.KindToken, token.GetId(), "the join token expired at %s", at.Format(time.RFC3339)).
			WithHint("%s", newTokenCommand(token))
	}
	if want := r.GetRole(); want != warrenv1.Role_ROLE_UNSPECIFIED && want != token.GetRole() {
		return nil, spec.Problemf(spec.Refused, spec.KindToken, token.GetId(), "the join token is for a %s, not for a %s", roleName(token.GetRole()), roleName(want)).
			WithHint("warren cluster join-token %s, on a machine of the cluster, makes one", roleName(want))
	}
	return token, nil
}

func newTokenCommand(t *warrenv1.JoinToken) string {
	if t.GetClient() != "" {
		return "warren cluster client-token " + roleName(t.GetRole()) + " " + t.GetClient() + ", on a machine of the cluster, makes a new one"
	}
	return "warren cluster join-token " + roleName(t.GetRole()) + ", on a machine of the cluster, makes a new one"
}

// spend uses a token for the member with that ID.
func spend(tx *store.Tx, token *warrenv1.JoinToken, id string) error {
	if !token.GetSingleUse() {
		return nil
	}
	if token.GetUsedBy() != "" {
		return spec.Problemf(spec.Denied, spec.KindToken, token.GetId(), "the join token was used already, by %s", token.GetUsedBy()).
			WithHint("%s", newTokenCommand(token))
	}
	token.UsedBy = id
	return tx.Tokens().Put(token, token.GetId())
}

func (j *joining) admitNode(tx *store.Tx, token *warrenv1.JoinToken, r *warrenv1.JoinRequest, keyHash []byte) (*admitted, error) {
	name := r.GetName()
	if err := spec.ValidName(spec.KindNode, name); err != nil {
		return nil, err
	}
	roles := []warrenv1.Role{token.GetRole()}
	old, err := optional(tx.Nodes().ByName("", name))
	if err != nil {
		return nil, err
	}
	if old != nil && slices.Equal(old.GetKeyHash(), keyHash) && slices.Contains(old.GetRoles(), token.GetRole()) {
		return &admitted{old.GetMeta().GetId(), name, old.GetRoles()}, nil
	}
	if old != nil {
		return nil, spec.Problemf(spec.Exists, spec.KindNode, name, "the cluster has a node named %q already", name).
			WithHint("give this one another name with --node-name, or first: warren node remove %s", name)
	}
	node := &warrenv1.Node{
		Meta:  &warrenv1.Meta{Id: spec.NodeID(name, j.config.Rand()), Name: name, CreatedAt: j.now(), UpdatedAt: j.now()},
		Roles: roles, KeyHash: keyHash,
	}
	if token.GetRole() == warrenv1.Role_ROLE_MANAGER {
		node.Address = r.GetAddress()
		if err := freeAddress(&tx.ReadTx, node); err != nil {
			return nil, err
		}
		if len(r.GetSealingKey()) == 0 {
			return nil, spec.Problemf(spec.Invalid, spec.KindNode, name, "a manager that joins needs a key for the unlock key")
		}
	}
	if err := spend(tx, token, node.GetMeta().GetId()); err != nil {
		return nil, err
	}
	return &admitted{node.GetMeta().GetId(), name, roles}, tx.Nodes().Create(node)
}

// freeAddress refuses an address where another manager is, or nobody can be.
func freeAddress(tx *store.ReadTx, node *warrenv1.Node) error {
	name, address := node.GetMeta().GetName(), node.GetAddress()
	if host, _, err := net.SplitHostPort(address); err != nil || host == "" {
		return spec.Problemf(spec.Invalid, spec.KindNode, name, "%q is no address where other managers reach this one", address).
			WithHint("give it with --advertise-addr HOST:PORT")
	}
	for _, other := range tx.Nodes().List() {
		if other.GetAddress() == address {
			return spec.Problemf(spec.Exists, spec.KindNode, name, "node %q has the address %s already", other.GetMeta().GetName(), address).
				WithHint("give another one with --advertise-addr HOST:PORT, or first: warren node remove %s", other.GetMeta().GetName())
		}
	}
	return nil
}

func (j *joining) admitClient(tx *store.Tx, token *warrenv1.JoinToken, keyHash []byte) (*admitted, error) {
	name := token.GetClient()
	old, err := optional(tx.Clients().ByName("", name))
	if err != nil {
		return nil, err
	}
	if old != nil && slices.Equal(old.GetKeyHash(), keyHash) {
		return &admitted{old.GetMeta().GetId(), name, []warrenv1.Role{old.GetRole()}}, nil
	}
	if old != nil {
		return nil, clientExists(name)
	}
	client := &warrenv1.Client{
		Meta: &warrenv1.Meta{Id: spec.ClientID(name, j.config.Rand()), Name: name, CreatedAt: j.now(), UpdatedAt: j.now()},
		Role: token.GetRole(), KeyHash: keyHash,
	}
	if err := spend(tx, token, client.GetMeta().GetId()); err != nil {
		return nil, err
	}
	return &admitted{client.GetMeta().GetId(), name, []warrenv1.Role{client.GetRole()}}, tx.Clients().Create(client)
}

func clientExists(name string) *spec.Problem {
	return spec.Problemf(spec.Exists, spec.KindClient, name, "client %q has a certificate already", name).
		WithHint("choose another name, or first: warren cluster client-revoke %s", name)
}

// sealUnlockKey gives a manager that joins what opens the cluster's keys.
func (j *joining) sealUnlockKey(nodeID string, to []byte) ([]byte, error) {
	if j.config.Keeper == nil {
		return nil, errors.New("this manager has no unlock key to give on")
	}
	envelope, _, err := j.config.Keeper.UnlockKey(seal.ToManagerInfo(j.config.Vault.ClusterID(), nodeID), to)
	return envelope, err
}

// autolock tells whether managers are to keep the unlock key in memory only.
func (s *Server) autolock(ctx context.Context) (yes bool, err error) {
	err = s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		now, err := settings(tx)
		yes = now.GetAutolock()
		return err
	})
	return yes, err
}

// managers lists the addresses of all managers.
func (s *Server) managers(ctx context.Context) (out []string, err error) {
	err = s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, node := range tx.Nodes().List() {
			if node.GetAddress() != "" && slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
				out = append(out, node.GetAddress())
			}
		}
		return nil
	})
	return out, err
}
