package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// baseTLS is what both ends of every connection hold to.
func baseTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Both ends are Warren, so there is nobody to be lenient with: traffic
		// that is recorded today stays closed to a quantum computer later.
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
		// A resumed session would skip the check of the peer's certificate.
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2"},
	}
}

// ServerTLS demands a valid certificate of the source's cluster from everybody
// who connects, and shows the source's own, which must be a manager's. What
// the peer may do is decided by its PeerIdentity. Beside HTTP/2 a client may
// ask for one of the other protocols. Who says in its hello that it joins may
// come without a certificate, and has no PeerIdentity then.
func ServerTLS(source *CertificateSource, others ...string) *tls.Config {
	outer := baseTLS()
	outer.ClientAuth = tls.RequireAndVerifyClientCert
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := source.Current()
		inner := baseTLS()
		inner.Time = source.now
		inner.NextProtos = append(inner.NextProtos, others...)
		inner.Certificates = []tls.Certificate{c.tls}
		inner.ClientAuth = tls.RequireAndVerifyClientCert
		inner.ClientCAs = c.roots
		if slices.Contains(hello.SupportedProtos, joinProtocol) {
			inner.ClientAuth = tls.VerifyClientCertIfGiven
			inner.Certificates[0].Certificate = append(slices.Clone(c.tls.Certificate), c.ca.Raw)
		}
		inner.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 && inner.ClientAuth == tls.VerifyClientCertIfGiven {
				return nil
			}
			peer, err := PeerIdentity(state)
			if err == nil && peer.ClusterID != c.identity.ClusterID {
				err = fmt.Errorf("%s is not of this cluster, %s", peer, c.identity.ClusterID)
			}
			return err
		}
		return inner, nil
	}
	return outer
}

// ClientTLS is for nodes: it shows the source's certificate and accepts any
// manager of its cluster, and nobody else. It asks for HTTP/2, or instead for
// the protocols that are named.
func ClientTLS(source *CertificateSource, instead ...string) *tls.Config {
	config := clientTLS(source.now, func(*x509.Certificate) (*Credential, error) {
		return source.Current(), nil
	}, func(*tls.CertificateRequestInfo) (*Credential, error) {
		return source.Current(), nil
	})
	if len(instead) > 0 {
		config.NextProtos = instead
	}
	return config
}

// clientTLS verifies a server by itself: there is no host name to check, and
// the standard library's own check could only say "unknown authority". trust
// gives the credential whose CA must have issued the server's certificate,
// show the one to answer with.
func clientTLS(
	now func() time.Time,
	trust func(server *x509.Certificate) (*Credential, error),
	show func(*tls.CertificateRequestInfo) (*Credential, error),
) *tls.Config {
	config := baseTLS()
	config.Time = now
	// Not insecure: TLS still proves that the server holds its certificate's
	// key, VerifyConnection below checks the certificate itself, and without
	// it no byte is sent. It runs on every connection, since none is resumed.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errNoPeerCertificate
		}
		c, err := trust(state.PeerCertificates[0])
		if err != nil {
			return err
		}
		return verifyManager(state.PeerCertificates[0], c, now())
	}
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c, err := show(request)
		if err != nil {
			return nil, err
		}
		if err := c.expired(now()); err != nil {
			return nil, err
		}
		return &c.tls, nil
	}
	return config
}

// verifyManager checks that a certificate is that of a manager of the
// credential's cluster.
func verifyManager(server *x509.Certificate, c *Credential, now time.Time) error {
	cluster := c.identity.ClusterID
	_, err := server.Verify(x509.VerifyOptions{
		Roots:       c.roots,
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the certificate of cluster %s's manager is valid from %s to %s, and this machine's clock says %s",
			cluster, server.NotBefore.Format(time.RFC3339), server.NotAfter.Format(time.RFC3339), now.Format(time.RFC3339))
	case err != nil:
		return fmt.Errorf("the server is not a manager of cluster %s: %w", cluster, err)
	}
	id, err := CertificateIdentity(server)
	if err != nil {
		return fmt.Errorf("the server is not a manager of cluster %s: %w", cluster, err)
	}
	if id.ClusterID != cluster || !id.Has(warrenv1.Role_ROLE_MANAGER) {
		return fmt.Errorf("the server is not a manager of cluster %s but %s", cluster, id)
	}
	return nil
}

// IssuedAt is when the certificate that the other side showed was issued.
func IssuedAt(s tls.ConnectionState) time.Time {
	if len(s.PeerCertificates) == 0 {
		return time.Time{}
	}
	return s.PeerCertificates[0].NotBefore.Add(clockSkew)
}
