package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

const (
	// NodeTTL is how long a node's certificate is valid.
	NodeTTL = 90 * 24 * time.Hour
	// ClientTTL is how long a person's or a program's certificate is valid.
	ClientTTL = 365 * 24 * time.Hour

	caTTL = 20 * 365 * 24 * time.Hour
	// Certificates are valid from a little before they were made, for peers
	// whose clocks are behind.
	clockSkew = time.Hour

	pemCertificate = "CERTIFICATE"
	pemPrivateKey  = "PRIVATE KEY"
)

// CA is a cluster's certificate authority. Its key is ECDSA on P-256, like all
// keys here: it is fast, and every TLS library and browser takes it.
type CA struct {
	clusterID string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

// NewCA makes the authority of a new cluster.
func NewCA(clusterID string, now time.Time) (*CA, error) {
	if !clusterIDPattern.MatchString(clusterID) {
		return nil, fmt.Errorf("make a CA: %q is no cluster ID", clusterID)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	template := &x509.Certificate{
		// The subject names the cluster, since it is what a server sends to ask
		// for a client's certificate and what the client chooses by.
		Subject:               pkix.Name{CommonName: "Warren CA", Organization: []string{clusterID}},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caTTL),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it signs leaves, never another authority
		KeyUsage:              x509.KeyUsageCertSign,
		// Whoever trusts this CA trusts it for identities of this cluster alone.
		PermittedDNSDomainsCritical: true,
		PermittedURIDomains:         []string{clusterID},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	return &CA{clusterID: clusterID, cert: cert, key: key}, nil
}

// LoadCA puts an authority together from its certificate and what MarshalKey
// gave; key stays the caller's.
func LoadCA(certPEM []byte, key *seal.Plaintext) (*CA, error) {
	cert, clusterID, err := parseCA(certPEM)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key.Bytes())
	runtime.KeepAlive(key)
	if err != nil {
		return nil, fmt.Errorf("load the CA of cluster %s: its key cannot be read", clusterID)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("load the CA of cluster %s: its key is not that of its certificate", clusterID)
	}
	return &CA{clusterID: clusterID, cert: cert, key: private}, nil
}

// parseCA reads one CA certificate and the cluster it is of.
func parseCA(certPEM []byte) (*x509.Certificate, string, error) {
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return nil, "", fmt.Errorf("read a CA certificate: %w", err)
	}
	if !cert.IsCA || len(cert.Subject.Organization) != 1 || !clusterIDPattern.MatchString(cert.Subject.Organization[0]) {
		return nil, "", errors.New("read a CA certificate: it is not that of a Warren cluster")
	}
	return cert, cert.Subject.Organization[0], nil
}

func parseCertificate(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != pemCertificate {
		return nil, errors.New("it is no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// ClusterID is the cluster whose authority this is.
func (ca *CA) ClusterID() string { return ca.clusterID }

// CertificatePEM is what everybody in the cluster trusts.
func (ca *CA) CertificatePEM() []byte { return encodeCertificate(ca.cert.Raw) }

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der})
}

// MarshalKey returns the private key, to be sealed by the cluster's ring.
func (ca *CA) MarshalKey() (*seal.Plaintext, error) {
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("marshal the CA's key: %w", err)
	}
	return seal.PlaintextFrom(der)
}

// Issue signs a certificate for the holder of a public key and returns it as
// PEM. It is valid for ttl, never longer than the CA itself. Only a manager's
// can be shown by a server.
func (ca *CA) Issue(pub crypto.PublicKey, id Identity, now time.Time, ttl time.Duration) ([]byte, error) {
	if err := id.validate(); err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	if id.ClusterID != ca.clusterID {
		return nil, fmt.Errorf("issue a certificate: %s, but this is the CA of cluster %s", id, ca.clusterID)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: id.Name, Organization: []string{ca.clusterID}},
		NotBefore:   now.Add(-clockSkew),
		NotAfter:    now.Add(ttl),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        id.uris(),

		BasicConstraintsValid: true,
	}
	if id.Has(warrenv1.Role_ROLE_MANAGER) {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, pub, ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", id, err)
	}
	return encodeCertificate(der), nil
}
