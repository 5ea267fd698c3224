package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const identityScheme = "warren"

var (
	// A cluster ID is the host of a URI and the name of a directory.
	clusterIDPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	namePattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$`)
)

var roleNames = map[warrenv1.Role]string{
	warrenv1.Role_ROLE_READER:  "reader",
	warrenv1.Role_ROLE_ADMIN:   "admin",
	warrenv1.Role_ROLE_WORKER:  "worker",
	warrenv1.Role_ROLE_MANAGER: "manager",
}

// Identity is who the holder of a certificate is.
type Identity struct {
	ClusterID string
	// Roles in the certificate's order, at least one, none twice.
	Roles []warrenv1.Role
	// Name is a node's ID or a client's name.
	Name string
}

// Has tells whether the identity has the role. An admin is not also a reader
// here: what a role includes is decided where access is.
func (id Identity) Has(role warrenv1.Role) bool { return slices.Contains(id.Roles, role) }

// String names the identity in logs and errors: "alice (admin) of cluster c1".
func (id Identity) String() string {
	names := make([]string, len(id.Roles))
	for i, r := range id.Roles {
		names[i] = roleNames[r]
	}
	return fmt.Sprintf("%s (%s) of cluster %s", id.Name, strings.Join(names, ", "), id.ClusterID)
}

func (id Identity) validate() error {
	if !clusterIDPattern.MatchString(id.ClusterID) {
		return fmt.Errorf("%q is no cluster ID", id.ClusterID)
	}
	if !namePattern.MatchString(id.Name) {
		return fmt.Errorf("%q cannot stand in a certificate: use letters, digits and . _ @ -", id.Name)
	}
	if len(id.Roles) == 0 {
		return fmt.Errorf("identity %s has no role", id.Name)
	}
	for i, r := range id.Roles {
		if roleNames[r] == "" || slices.Contains(id.Roles[:i], r) {
			return fmt.Errorf("identity %s: role %s is unknown or there twice", id.Name, r)
		}
	}
	return nil
}

func (id Identity) uris() []*url.URL {
	uris := make([]*url.URL, len(id.Roles))
	for i, r := range id.Roles {
		uris[i] = &url.URL{Scheme: identityScheme, Host: id.ClusterID, Path: "/" + roleNames[r] + "/" + id.Name}
	}
	return uris
}

// CertificateIdentity reads the identity out of a certificate. It does not
// verify the certificate. Anything unexpected among its URIs is an error: a
// certificate that is half understood is not understood.
func CertificateIdentity(cert *x509.Certificate) (Identity, error) {
	var id Identity
	for _, u := range cert.URIs {
		cluster, role, name, err := parseURI(u)
		if err != nil {
			return Identity{}, err
		}
		if len(id.Roles) > 0 && (cluster != id.ClusterID || name != id.Name) {
			return Identity{}, errors.New("the certificate names two identities")
		}
		id.ClusterID, id.Name = cluster, name
		id.Roles = append(id.Roles, role)
	}
	if len(id.Roles) == 0 {
		return Identity{}, errors.New("the certificate is not one of Warren's: it names no identity")
	}
	if err := id.validate(); err != nil {
		return Identity{}, err
	}
	return id, nil
}

func parseURI(u *url.URL) (cluster string, role warrenv1.Role, name string, err error) {
	text := u.String()
	fail := func() (string, warrenv1.Role, string, error) {
		return "", 0, "", fmt.Errorf("the certificate names %q, which is no identity of Warren's", text)
	}
	rest, ok := strings.CutPrefix(text, identityScheme+"://")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return fail()
	}
	for r, n := range roleNames {
		if n == parts[1] {
			return parts[0], r, parts[2], nil
		}
	}
	return fail()
}

// PeerIdentity returns who is at the other end of a connection that a server
// accepted with ServerTLS. It fails when the peer's certificate was not
// verified.
func PeerIdentity(state tls.ConnectionState) (Identity, error) {
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return Identity{}, errors.New("the peer showed no certificate of this cluster")
	}
	return CertificateIdentity(state.PeerCertificates[0])
}
