package server

import (
	"context"
	"crypto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
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
	certificate, err := j.issue(pub, caller.ID, caller.Roles)
	return &warrenv1.RenewResponse{Certificate: certificate}, err
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
