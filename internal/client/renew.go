package client

import (
	"context"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
)

// RenewCertificate trades the certificate that this client shows for a new one
// with a new key, once two thirds of its life are over, and keeps it in the home
// in the old one's place. An empty home is the caller's own. Over a Unix socket
// no certificate is shown, and there is nothing to do.
func (c *Client) RenewCertificate(ctx context.Context, homeDir string, now time.Time) error {
	if c.at().network == "unix" {
		return nil
	}
	home, err := homeOf(homeDir)
	if err != nil {
		return err
	}
	credentials, _ := home.Credentials() // the one in use was read
	var due []*pki.Credential
	for _, have := range credentials {
		if now.After(have.RenewAt()) {
			due = append(due, have)
		}
	}
	if len(due) == 0 {
		return nil
	}
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	for _, have := range due {
		if err == nil && have.Identity().ClusterID == cluster.GetId() {
			err = c.trade(ctx, home, have)
		}
		if err != nil {
			return fmt.Errorf("your certificate of cluster %s, which expires on %s, was not renewed: %w",
				have.Identity().ClusterID, have.NotAfter().Format(time.DateOnly), err)
		}
	}
	return nil
}

// trade asks for a certificate for a new key and keeps both.
func (c *Client) trade(ctx context.Context, home *pki.Home, have *pki.Credential) error {
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	request, err := key.Request()
	if err != nil {
		return err
	}
	answer, err := c.Joining.Renew(ctx, &warrenv1.RenewRequest{CertificateRequest: request})
	if err != nil {
		return err
	}
	bundle, err := pki.NewBundle(have.CA(), answer.GetCertificate(), key)
	if err != nil {
		return err
	}
	defer bundle.Key.Destroy()
	return home.Write(bundle)
}
