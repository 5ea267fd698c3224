package node

import (
	"context"
	"sync"
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
	id := pki.Identity{ClusterID: p.settings.ClusterID, Roles: nodeRoles(p.present()), Name: p.settings.NodeID}
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

// identity is this node's certificate, once it has one.
type identity struct {
	mu     sync.Mutex
	source *pki.CertificateSource
	known  chan struct{} // closed once there is a source
}

func newIdentity() *identity { return &identity{known: make(chan struct{})} }

// wait returns nil when ctx ends first.
func (i *identity) wait(ctx context.Context) *pki.CertificateSource {
	select {
	case <-i.known:
		return i.source
	case <-ctx.Done():
		return nil
	}
}

// use makes c the node's certificate from now on.
func (p *prepared) use(c *pki.Credential) error {
	i := p.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.source != nil {
		return i.source.Swap(c)
	}
	i.source = pki.NewCertificateSource(c)
	if p.port != nil { // a worker has none
		p.port.Use(i.source)
	}
	close(i.known)
	return nil
}

// useCertificate uses the certificate on the disk. An unlocked manager issues
// itself a new one where it is missing, damaged, or due.
func (p *prepared) useCertificate(v *vault.Vault) error {
	c, err := readNodeCertificate(p)
	if err != nil || time.Now().After(c.RenewAt()) {
		if err := issueNodeCertificate(p, v, time.Now()); err != nil {
			return err
		}
		if c, err = readNodeCertificate(p); err != nil {
			return err
		}
	}
	return p.use(c)
}

// renewOwn replaces the certificate in time, for as long as the node runs.
func (p *prepared) renewOwn(ctx context.Context, v *vault.Vault) error {
	tick := time.NewTicker(renewalCheck)
	defer tick.Stop()
	source := p.identity.wait(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if time.Now().Before(source.Current().RenewAt()) {
			continue
		}
		if err := p.useCertificate(v); err != nil {
			p.log.Error("the node's certificate was not renewed; it is tried again", "expires", source.Current().NotAfter(), "error", err)
		}
	}
}
