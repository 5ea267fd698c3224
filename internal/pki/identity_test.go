package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

func TestIdentityComesBackFromItsCertificate(t *testing.T) {
	for _, id := range []Identity{
		{"c1", []warrenv1.Role{admin}, "alice@example.org"},
		{"0f3a-b", []warrenv1.Role{worker, manager}, "node-abc123"},
	} {
		cert, err := parseCertificate(bundle(t, newCA(t, id.ClusterID), id.Name, id.Roles...).Certificate)
		if err != nil {
			t.Fatal(err)
		}
		got, err := CertificateIdentity(cert)
		if err != nil || got.String() != id.String() {
			t.Errorf("%s comes back as %s, %v", id, got, err)
		}
	}
}

func TestUnclearIdentitiesAreRefused(t *testing.T) {
	for _, uris := range []string{
		"", "https://example.org/", "warren://c1/admin", "warren://c1/admin/a/b", "warren://c1/god/alice",
		"warren:///admin/alice", "warren://c1/admin/", "warren://C1/admin/alice", "warren://-c1/admin/alice",
		"warren://user@c1/admin/alice", "warren://c1:80/admin/alice", "warren://c1/admin/alice?as=root",
		"warren://c1/admin/alice#manager", "warren://c1/admin/%61lice", "warren://c1/admin/../manager",
		"warren://c1/reader/alice warren://c1/admin/bob", "warren://c1/reader/alice warren://c2/admin/alice",
		"warren://c1/admin/alice warren://c1/admin/alice", "warren://c1/admin/alice https://example.org/",
		"warren:opaque",
	} {
		cert := &x509.Certificate{}
		for _, s := range strings.Fields(uris) {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		if id, err := CertificateIdentity(cert); err == nil {
			t.Errorf("%q is %s", uris, id)
		}
	}
}

func TestCAIssuesForItsClusterAndGoodNamesOnly(t *testing.T) {
	ca := newCA(t, "c1")
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []Identity{
		{"c2", []warrenv1.Role{admin}, "alice"}, {"", []warrenv1.Role{admin}, "alice"},
		{"c1", nil, "alice"}, {"c1", []warrenv1.Role{admin, admin}, "alice"},
		{"c1", []warrenv1.Role{warrenv1.Role_ROLE_UNSPECIFIED}, "alice"}, {"c1", []warrenv1.Role{99}, "alice"},
		{"c1", []warrenv1.Role{admin}, ""}, {"c1", []warrenv1.Role{admin}, "a/b"},
		{"c1", []warrenv1.Role{admin}, "a b"}, {"c1", []warrenv1.Role{admin}, ".."},
		{"c1", []warrenv1.Role{admin}, strings.Repeat("a", 129)},
	} {
		if _, err := ca.Issue(key.Public(), id, epoch, time.Hour); err == nil {
			t.Errorf("issued for %+v", id)
		}
	}
	for _, cluster := range []string{"", "C1", "a b", "../c1", "-a", strings.Repeat("a", 64)} {
		if _, err := NewCA(cluster, epoch); err == nil {
			t.Errorf("made a CA of cluster %q", cluster)
		}
	}
	certPEM, err := ca.Issue(key.Public(), Identity{"c1", []warrenv1.Role{admin}, "alice"}, epoch, 2*caTTL)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err := parseCertificate(certPEM); err != nil || cert.NotAfter.After(ca.cert.NotAfter) {
		t.Errorf("it outlives its CA: %v %v", cert.NotAfter, err)
	}
}

func TestCAComesBackFromItsKey(t *testing.T) {
	ca, other := newCA(t, "c1"), newCA(t, "c1")
	key, err := ca.MarshalKey()
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	again, err := LoadCA(ca.CertificatePEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	if again.ClusterID() != "c1" {
		t.Errorf("it is of cluster %s", again.ClusterID())
	}
	credential(t, again, "alice", admin)

	garbage, err := seal.PlaintextFrom([]byte("no key"))
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Destroy()
	leaf := bundle(t, ca, "alice", admin).Certificate
	for name, load := range map[string]func() (*CA, error){
		"another's key":      func() (*CA, error) { return LoadCA(other.CertificatePEM(), key) },
		"a leaf certificate": func() (*CA, error) { return LoadCA(leaf, key) },
		"no certificate":     func() (*CA, error) { return LoadCA([]byte("garbage"), key) },
		"a garbage key":      func() (*CA, error) { return LoadCA(ca.CertificatePEM(), garbage) },
	} {
		if _, err := load(); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

// The CA's certificate itself confines it to its own cluster's identities.
func TestCAIsConfinedToItsCluster(t *testing.T) {
	ca := newCA(t, "c1")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for cluster, ok := range map[string]bool{"c1": true, "c2": false} {
		id := Identity{cluster, []warrenv1.Role{admin}, "alice"}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			NotBefore: epoch, NotAfter: epoch.Add(time.Hour), URIs: id.uris(),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, ca.cert, key.Public(), ca.key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cert.Verify(x509.VerifyOptions{
			Roots: roots, CurrentTime: epoch, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if (err == nil) != ok {
			t.Errorf("a certificate for %s: %v", id, err)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add("warren://c1/admin/alice", "warren://c1/manager/alice")
	f.Add("warren://c1/worker/node-1", "")
	f.Add("warren://c1/admin/%61", "https://x")
	f.Fuzz(func(t *testing.T, first, second string) {
		cert := &x509.Certificate{}
		for _, s := range []string{first, second} {
			if u, err := url.Parse(s); err == nil && s != "" {
				cert.URIs = append(cert.URIs, u)
			}
		}
		id, err := CertificateIdentity(cert)
		if err != nil {
			return
		}
		// What was understood says exactly what the certificate says.
		for i, u := range id.uris() {
			if !strings.EqualFold(u.String()[:9], cert.URIs[i].String()[:9]) || u.String()[9:] != cert.URIs[i].String()[9:] {
				t.Errorf("%q is read as %s", cert.URIs[i], id)
			}
		}
	})
}

func FuzzBundle(f *testing.F) {
	b := bundle(f, newCA(f, "c1"), "alice", admin)
	key := append([]byte(nil), b.Key.Bytes()...)
	f.Add(b.CA, b.Certificate, key)
	f.Add(b.Certificate, b.CA, key)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, ca, cert, key []byte) {
		p, err := seal.PlaintextFrom(append([]byte(nil), key...))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Destroy()
		if c, err := (Bundle{ca, cert, p}).Parse(); err == nil && c.Identity().Name != "alice" {
			t.Errorf("a forged bundle is %s", c.Identity())
		}
		_, _ = LoadCA(ca, p)
	})
}
