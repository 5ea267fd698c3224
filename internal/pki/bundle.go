package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cuemby/warren/internal/seal"
)

// Key is the private key of a node or a client.
type Key struct{ private *ecdsa.PrivateKey }

// NewKey makes a private key; its Public half is what a CA signs.
func NewKey() (*Key, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	return &Key{private: k}, nil
}

// Public returns the public half.
func (k *Key) Public() crypto.PublicKey { return k.private.Public() }

// Bundle is what somebody needs to speak to a cluster, as PEM files.
type Bundle struct {
	CA          []byte          // ca.pem
	Certificate []byte          // cert.pem
	Key         *seal.Plaintext // key.pem
}

// NewBundle puts a bundle together from a CA's certificate, a certificate that
// it issued and the key it issued it for.
func NewBundle(caPEM, certPEM []byte, key *Key) (Bundle, error) {
	p, err := key.Marshal()
	if err != nil {
		return Bundle{}, err
	}
	return Bundle{CA: caPEM, Certificate: certPEM, Key: p}, nil
}

// Credential is a bundle that was read and found to belong together.
type Credential struct {
	identity Identity
	ca       *x509.Certificate
	roots    *x509.CertPool
	tls      tls.Certificate
}

// Parse checks that the certificate was issued by the CA for the key, whether
// or not it has expired meanwhile.
func (b Bundle) Parse() (*Credential, error) {
	ca, clusterID, err := parseCA(b.CA)
	if err != nil {
		return nil, err
	}
	if b.Key == nil {
		return nil, fmt.Errorf("certificate of cluster %s: its key is missing", clusterID)
	}
	pair, err := tls.X509KeyPair(b.Certificate, b.Key.Bytes())
	runtime.KeepAlive(b.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate of cluster %s: %w", clusterID, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: pair.Leaf.NotAfter,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return nil, fmt.Errorf("certificate of cluster %s: it is not the cluster's: %w", clusterID, err)
	}
	id, err := CertificateIdentity(pair.Leaf)
	if err != nil {
		return nil, fmt.Errorf("certificate of cluster %s: %w", clusterID, err)
	}
	if id.ClusterID != clusterID {
		return nil, fmt.Errorf("certificate of cluster %s: it names %s", clusterID, id)
	}
	return &Credential{identity: id, ca: ca, roots: roots, tls: pair}, nil
}

// Identity is whom the credential's certificate names.
func (c *Credential) Identity() Identity { return c.identity }

// CA is the certificate of the cluster's CA, as PEM.
func (c *Credential) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ca.Raw})
}

// NotAfter is when the certificate expires.
func (c *Credential) NotAfter() time.Time { return c.tls.Leaf.NotAfter }

// RenewAt is when the certificate should be replaced: after two thirds of its
// life, which leaves a cluster that was down for weeks time to come back.
func (c *Credential) RenewAt() time.Time {
	from, to := c.tls.Leaf.NotBefore, c.tls.Leaf.NotAfter
	return from.Add(to.Sub(from) * 2 / 3)
}

// issuedBy tells whether a certificate says that this credential's CA issued
// it; only Verify tells whether that is true.
func (c *Credential) issuedBy(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, c.ca.RawSubject)
}

func (c *Credential) expired(now time.Time) error {
	if leaf := c.tls.Leaf; now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return fmt.Errorf("the certificate of %s is valid from %s to %s, and this machine's clock says %s",
			c.identity, leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	return nil
}

var errNoPeerCertificate = errors.New("the server showed no certificate")
