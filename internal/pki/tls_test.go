package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	reader  = warrenv1.Role_ROLE_READER
	admin   = warrenv1.Role_ROLE_ADMIN
	worker  = warrenv1.Role_ROLE_WORKER
	manager = warrenv1.Role_ROLE_MANAGER
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newCA(t testing.TB, cluster string) *CA {
	t.Helper()
	ca, err := NewCA(cluster, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func bundle(t testing.TB, ca *CA, name string, roles ...warrenv1.Role) Bundle {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(key.Public(), Identity{ca.ClusterID(), roles, name}, epoch, NodeTTL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBundle(ca.CertificatePEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Key.Destroy)
	return b
}

func credential(t testing.TB, ca *CA, name string, roles ...warrenv1.Role) *Credential {
	t.Helper()
	c, err := bundle(t, ca, name, roles...).Parse()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func source(c *Credential) *CertificateSource {
	s := NewCertificateSource(c)
	s.now = func() time.Time { return epoch }
	return s
}

// connect shakes hands over loopback and returns what each side says; the
// server's view comes with whom it saw.
func connect(t *testing.T, server, client *tls.Config) (peer Identity, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conn net.Conn
		if conn, serverErr = listener.Accept(); serverErr != nil {
			return
		}
		defer conn.Close()
		s := tls.Server(conn, server)
		if serverErr = s.Handshake(); serverErr != nil {
			return
		}
		if peer, serverErr = PeerIdentity(s.ConnectionState()); serverErr == nil {
			_, serverErr = s.Write([]byte("welcome"))
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, client)
	if clientErr = c.Handshake(); clientErr == nil {
		// A server's refusal arrives only after the client's handshake.
		_, clientErr = c.Read(make([]byte, 10))
	}
	conn.Close()
	<-done
	return peer, serverErr, clientErr
}

func TestBothEndsLearnWhoTheOtherIs(t *testing.T) {
	ca := newCA(t, "c1")
	server := ServerTLS(source(credential(t, ca, "node-1", manager, worker)))
	for name, roles := range map[string][]warrenv1.Role{
		"alice": {admin}, "bob@example.org": {reader}, "node-2": {worker}, "node-3": {manager, worker},
	} {
		peer, serverErr, clientErr := connect(t, server, ClientTLS(source(credential(t, ca, name, roles...))))
		if serverErr != nil || clientErr != nil {
			t.Fatalf("%s: %v, %v", name, serverErr, clientErr)
		}
		if peer.Name != name || peer.ClusterID != "c1" || len(peer.Roles) != len(roles) {
			t.Errorf("the server saw %s", peer)
		}
		for _, r := range []warrenv1.Role{reader, admin, worker, manager} {
			want := false
			for _, have := range roles {
				want = want || have == r
			}
			if peer.Has(r) != want {
				t.Errorf("%s has %v: %v", peer, r, peer.Has(r))
			}
		}
	}
}

func TestServerRefusesStrangers(t *testing.T) {
	ca, foreign := newCA(t, "c1"), newCA(t, "c2")
	impostor := newCA(t, "c1") // the same name, another key
	server := ServerTLS(source(credential(t, ca, "node-1", manager)))
	// Clients that would talk to anybody.
	lenient := func(change func(*tls.Config)) *tls.Config {
		c := baseTLS()
		c.InsecureSkipVerify = true
		change(c)
		return c
	}
	show := func(c *Credential) *tls.Config {
		return lenient(func(config *tls.Config) {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.tls, nil }
		})
	}
	good := credential(t, ca, "alice", admin)
	mixed := credential(t, foreign, "alice", admin)
	mixed.tls.Certificate = append(mixed.tls.Certificate, ca.cert.Raw)
	for name, client := range map[string]*tls.Config{
		"no certificate":                lenient(func(*tls.Config) {}),
		"another cluster's":             show(credential(t, foreign, "alice", admin)),
		"another cluster's, our CA too": show(mixed),
		"a CA of the same name":         show(credential(t, impostor, "alice", admin)),
		"the CA itself":                 show(&Credential{tls: tls.Certificate{Certificate: [][]byte{ca.cert.Raw}, PrivateKey: ca.key}}),
		"TLS 1.2": lenient(func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.CurvePreferences = tls.VersionTLS12, tls.VersionTLS12, nil
			c.Certificates = []tls.Certificate{good.tls}
		}),
		"no hybrid key exchange": lenient(func(c *tls.Config) {
			c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
			c.Certificates = []tls.Certificate{good.tls}
		}),
	} {
		if peer, serverErr, clientErr := connect(t, server, client); serverErr == nil || clientErr == nil {
			t.Errorf("%s: accepted as %s (%v, %v)", name, peer, serverErr, clientErr)
		}
	}
	if _, serverErr, clientErr := connect(t, server, show(good)); serverErr != nil || clientErr != nil {
		t.Errorf("the control with a good certificate: %v, %v", serverErr, clientErr)
	}
}

func TestClientRefusesWhoIsNoManagerOfItsCluster(t *testing.T) {
	ca := newCA(t, "c1")
	client := source(credential(t, ca, "node-2", worker))
	// Servers that would show anything and ask for nothing.
	serve := func(c *Credential) *tls.Config {
		config := baseTLS()
		config.Certificates = []tls.Certificate{c.tls}
		return config
	}
	for name, server := range map[string]*tls.Config{
		"a worker":              serve(credential(t, ca, "node-3", worker)),
		"an admin":              serve(credential(t, ca, "alice", admin)),
		"another cluster's":     serve(credential(t, newCA(t, "c2"), "node-1", manager)),
		"a CA of the same name": serve(credential(t, newCA(t, "c1"), "node-1", manager)),
	} {
		_, _, err := connect(t, server, ClientTLS(client))
		if err == nil || !strings.Contains(err.Error(), "not a manager of cluster c1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	old := serve(credential(t, ca, "node-1", manager))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	old.CurvePreferences = nil
	if _, _, err := connect(t, old, ClientTLS(client)); err == nil {
		t.Error("spoke TLS 1.2")
	}
}

func TestCertificatesAreValidInTheirTimeOnly(t *testing.T) {
	ca := newCA(t, "c1")
	at := func(now time.Time, c *Credential) *CertificateSource {
		s := NewCertificateSource(c)
		s.now = func() time.Time { return now }
		return s
	}
	m, c := credential(t, ca, "node-1", manager), credential(t, ca, "node-2", worker)
	for name, test := range map[string]struct {
		server, client time.Duration
		ok             bool
	}{
		"now":                      {0, 0, true},
		"a clock half an hour off": {-30 * time.Minute, 0, true},
		"to the end":               {NodeTTL, NodeTTL, true},
		"expired for the server":   {NodeTTL + time.Second, 0, false},
		"expired for the client":   {0, NodeTTL + time.Second, false},
		"server's clock far off":   {-2 * time.Hour, 0, false},
		"client's clock far off":   {0, -2 * time.Hour, false},
	} {
		_, _, err := connect(t, ServerTLS(at(epoch.Add(test.server), m)), ClientTLS(at(epoch.Add(test.client), c)))
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if test.client != 0 && !test.ok && !strings.Contains(err.Error(), "this machine's clock says") {
			t.Errorf("%s: the error does not speak of the clock: %v", name, err)
		}
	}
	if got := m.RenewAt(); got.Before(epoch.Add(NodeTTL/2)) || got.After(m.NotAfter()) {
		t.Errorf("renewed at %s", got)
	}
}

func TestSwapTakesEffectWithTheNextConnection(t *testing.T) {
	ca := newCA(t, "c1")
	servers, clients := source(credential(t, ca, "node-1", manager)), source(credential(t, ca, "node-2", worker))
	server, client := ServerTLS(servers), ClientTLS(clients)
	if _, serverErr, clientErr := connect(t, server, client); serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	if err := clients.Swap(credential(t, ca, "node-2", worker, manager)); err != nil {
		t.Fatal(err)
	}
	peer, serverErr, clientErr := connect(t, server, client)
	if serverErr != nil || clientErr != nil || !peer.Has(manager) {
		t.Fatalf("after the client's swap: %s, %v, %v", peer, serverErr, clientErr)
	}
	if err := servers.Swap(credential(t, ca, "node-1", worker)); err != nil {
		t.Fatal(err)
	}
	if _, _, clientErr := connect(t, server, client); clientErr == nil {
		t.Error("the server still shows its old certificate")
	}
	if err := servers.Swap(credential(t, ca, "node-9", manager)); err == nil {
		t.Error("swapped for another node's")
	}
	if err := servers.Swap(credential(t, newCA(t, "c2"), "node-1", manager)); err == nil {
		t.Error("swapped for another cluster's")
	}
}

func TestPeerIdentityNeedsAVerifiedPeer(t *testing.T) {
	c := credential(t, newCA(t, "c1"), "alice", admin)
	if id, err := PeerIdentity(tls.ConnectionState{}); err == nil {
		t.Errorf("without a certificate: %s", id)
	}
	unverified := tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.tls.Leaf}}
	if id, err := PeerIdentity(unverified); err == nil {
		t.Errorf("without verification: %s", id)
	}
}
