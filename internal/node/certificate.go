package node

import (
	"context"
	"time"

	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
)

const (
	nodeCertificateTTL  = 90 * 24 * time.Hour
	adminCertificateTTL = 365 * 24 * time.Hour
	// How often a manager looks whether its certificate should be renewed.
	renewalCheck = 12 * time.Hour
)

// issueNodeCertificate gives this node a new certificate and keeps it on disk.
func issueNodeCertificate(p *prepared, v *vault.Vault, now time.Time) error {
	id := pki.Identity{ClusterID: p.settings.ClusterID, Roles: nodeRoles(p.settings), Name: p.settings.NodeID}
	bundle, err := v.IssueBundle(id, now, nodeCertificateTTL)
	if err != nil {
		return err
	}
	defer bundle.Key.Destroy()
	return pki.WriteBundle(p.layout.identity(), bundle)
}

func readNodeCertificate(p *prepared) (*pki.Credential, error) {
	bundle, err := pki.ReadBundle(p.layout.identity())
	if err != nil {
		return nil, err
	}
	defer bundle.Key.Destroy()
	return bundle.Parse()
}

// nodeCertificate returns this node's credential. An unlocked manager issues
// itself a new one where it is missing, damaged, or due.
func nodeCertificate(p *prepared, v *vault.Vault) (*pki.CertificateSource, error) {
	c, err := readNodeCertificate(p)
	if err != nil || time.Now().After(c.RenewAt()) {
		if err := issueNodeCertificate(p, v, time.Now()); err != nil {
			return nil, err
		}
		if c, err = readNodeCertificate(p); err != nil {
			return nil, err
		}
	}
	return pki.NewCertificateSource(c), nil
}

// renew replaces the certificate in time, for as long as the node runs.
func renew(ctx context.Context, p *prepared, v *vault.Vault, source *pki.CertificateSource) error {
	tick := time.NewTicker(renewalCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if time.Now().Before(source.Current().RenewAt()) {
			continue
		}
		fresh, err := nodeCertificate(p, v)
		if err == nil {
			err = source.Swap(fresh.Current())
		}
		if err != nil {
			p.log.Error("the node's certificate was not renewed; it is tried again", "expires", source.Current().NotAfter(), "error", err)
		}
	}
}
