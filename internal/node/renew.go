package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
)

// renewalRetry is how long a worker waits whose certificate was not renewed.
const renewalRetry = time.Minute

// renewAtManager has a worker's certificate renewed in time, by any manager,
// and when it says something else than what the node is. A manager renews its
// own.
func (p *prepared) renewAtManager(ctx context.Context) error {
	source := p.identity.wait(ctx)
	if source == nil {
		return nil
	}
	tick := time.NewTicker(renewalCheck)
	defer tick.Stop()
	for {
		_, changed := p.promoted()
		retry := tick.C
		if !p.isManager() && p.renewalDue(source, time.Now()) {
			if err := p.renew(ctx, source); err != nil && ctx.Err() == nil {
				p.log.Error("the node's certificate was not renewed; it is tried again", "expires", source.Current().NotAfter(), "error", err)
				retry = time.After(renewalRetry)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry:
		}
	}
}

// renewalDue tells whether a worker needs another certificate now.
func (p *prepared) renewalDue(source *pki.CertificateSource, now time.Time) bool {
	c := source.Current()
	promoted, _ := p.promoted()
	return now.After(c.RenewAt()) || c.Identity().Has(warrenv1.Role_ROLE_MANAGER) && !promoted
}

func (p *prepared) renew(ctx context.Context, source *pki.CertificateSource) error {
	unlock, err := p.renewOnce(ctx, source)
	if unlock != nil {
		unlock.Destroy()
	}
	return err
}

// renewOnce gets a certificate for a new key from some manager. A node that has
// become a manager gets the unlock key, too; else it is nil.
func (p *prepared) renewOnce(ctx context.Context, source *pki.CertificateSource) (unlock *seal.Plaintext, err error) {
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	request, err := key.Request()
	if err != nil {
		return nil, err
	}
	envelope, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, client.Options{Manager: strings.Join(p.candidates(), ","), As: source})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	answer, err := c.Joining.Renew(ctx, &warrenv1.RenewRequest{CertificateRequest: request, SealingKey: envelope.PublicKey()})
	if err != nil {
		return nil, err
	}
	if sealed := answer.GetSealedUnlockKey(); sealed != nil {
		if unlock, err = envelope.Open(seal.ToManagerInfo(p.settings.ClusterID, p.settings.NodeID), sealed); err != nil {
			return nil, fmt.Errorf("the unlock key that a manager sent: %w", err)
		}
	}
	return unlock, p.replaceCertificate(source, answer.GetCertificate(), key)
}

// replaceCertificate keeps a new certificate on disk, and uses it from now on.
func (p *prepared) replaceCertificate(source *pki.CertificateSource, certificate []byte, key *pki.Key) error {
	old, err := pki.ReadBundle(p.layout.identity())
	if err != nil {
		return err
	}
	old.Key.Destroy()
	fresh, err := pki.NewBundle(old.CA, certificate, key)
	if err != nil {
		return err
	}
	defer fresh.Key.Destroy()
	credential, err := fresh.Parse()
	if err != nil {
		return err
	}
	if err := pki.WriteBundle(p.layout.identity(), fresh); err != nil {
		return err
	}
	return source.Swap(credential)
}
