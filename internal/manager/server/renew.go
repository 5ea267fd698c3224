package server

import (
	"context"
	"crypto"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// Renew gives the caller a new certificate for the key in the request.
func (j *joining) Renew(ctx context.Context, r *warrenv1.RenewRequest) (*warrenv1.RenewResponse, error) {
	caller, _ := CallerOf(ctx)
	if caller.ID == "" {
		return nil, spec.Problemf(spec.Refused, "", caller.Name, "%s has no certificate to renew", caller)
	}
	pub, _, err := pki.ParseRequest(r.GetCertificateRequest())
	if err != nil {
		return nil, spec.Problemf(spec.Invalid, "", "", "%v", err)
	}
	// Not those of the certificate: it may have been promoted since.
	roles, err := j.rolesOf(ctx, caller.ID)
	if err != nil {
		return nil, err
	}
	answer := &warrenv1.RenewResponse{}
	if answer.Certificate, err = j.issue(pub, caller.ID, roles); err != nil {
		return nil, err
	}
	if len(r.GetSealingKey()) > 0 && slices.Contains(roles, warrenv1.Role_ROLE_MANAGER) {
		answer.SealedUnlockKey, err = j.sealUnlockKey(caller.ID, r.GetSealingKey())
	}
	return answer, err
}

// rolesOf are the roles that a node or a client has now.
func (j *joining) rolesOf(ctx context.Context, id string) (roles []warrenv1.Role, err error) {
	err = j.store.View(ctx, func(tx *store.ReadTx) error {
		node, err := optional(tx.Nodes().Get(id))
		if err != nil || node != nil {
			roles = node.GetRoles()
			return err
		}
		client, err := tx.Clients().Get(id)
		roles = []warrenv1.Role{client.GetRole()}
		return err
	})
	return roles, err
}

// issue signs a certificate for a member.
func (s *Server) issue(pub crypto.PublicKey, id string, roles []warrenv1.Role) ([]byte, error) {
	identity := pki.Identity{ClusterID: s.config.Vault.ClusterID(), Name: id, Roles: roles}
	ttl := pki.ClientTTL
	if isNode(identity) {
		ttl = pki.NodeTTL
	}
	return s.config.Vault.IssueCertificate(pub, identity, s.config.Clock(), ttl)
}
