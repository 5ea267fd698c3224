package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/cuemby/warren/internal/seal"
)

// joinProtocol is what a client offers, beside h2, that has no certificate yet.
// A server lets nobody else in without one.
const joinProtocol = "warren-join"

// maxRequest bounds a certificate request, which comes from anybody.
const maxRequest = 16 << 10

// JoinTLS is for who has a token and no certificate yet. It accepts a manager
// of the cluster whose CA the token names, and nobody else, before a byte is
// sent; so the token's secret is said to that cluster only.
func JoinTLS(t Token) *tls.Config { return joinTLS(t, time.Now) }

func joinTLS(t Token, now func() time.Time) *tls.Config {
	config := baseTLS()
	config.Time = now
	config.NextProtos = append([]string{joinProtocol}, config.NextProtos...)
	// Not insecure: see clientTLS. What is trusted is the one CA certificate
	// that has the token's fingerprint, which the server sends along.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errNoPeerCertificate
		}
		for _, cert := range state.PeerCertificates[1:] {
			if sha256.Sum256(cert.Raw) == t.Fingerprint {
				return verifyJoined(state.PeerCertificates[0], cert, now())
			}
		}
		if id, err := CertificateIdentity(state.PeerCertificates[0]); err == nil {
			return fmt.Errorf("%w: this is a manager of cluster %s", ErrOtherCluster, id.ClusterID)
		}
		return fmt.Errorf("%w: the server is no Warren manager", ErrOtherCluster)
	}
	return config
}

// ErrOtherCluster is in the error of a connection for joining when the server
// is not a manager of the cluster that the token is for.
var ErrOtherCluster = errors.New("the token is for another cluster")

func verifyJoined(server, ca *x509.Certificate, now time.Time) error {
	parsed, clusterID, err := parseCA(encodeCertificate(ca.Raw))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return verifyManager(server, &Credential{identity: Identity{ClusterID: clusterID}, ca: parsed, roots: roots}, now)
}

// Request returns a certificate request, DER, that proves who has the key.
func (k *Key) Request() ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.private)
	if err != nil {
		return nil, fmt.Errorf("ask for a certificate: %w", err)
	}
	return der, nil
}

// ParseRequest checks a certificate request, and returns the public key that
// its sender has the private half of, and the key's SHA-256.
func ParseRequest(der []byte) (crypto.PublicKey, []byte, error) {
	if len(der) > maxRequest {
		return nil, nil, errors.New("the certificate request is too long")
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, errors.New("the certificate request cannot be read")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, nil, errors.New("the certificate request is not signed by its key")
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, errors.New("the certificate request is not for a key on P-256")
	}
	sum := sha256.Sum256(request.RawSubjectPublicKeyInfo)
	return key, sum[:], nil
}

// Marshal returns the private key as PEM, for a file of mode 0600.
func (k *Key) Marshal() (*seal.Plaintext, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("marshal a private key: %w", err)
	}
	defer clear(der)
	return seal.PlaintextFrom(pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der}))
}

// ParseKey reads what Marshal gave.
func ParseKey(text []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemPrivateKey {
		return nil, errors.New("this is no private key")
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("the private key cannot be read")
	}
	return &Key{private: private}, nil
}
