package peer_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/peer"
	"github.com/cuemby/warren/internal/pki"
)

func source(t *testing.T, ca *pki.CA, role warrenv1.Role) *pki.CertificateSource {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	id := pki.Identity{ClusterID: ca.ClusterID(), Roles: []warrenv1.Role{role}, Name: "node-a"}
	cert, err := ca.Issue(key.Public(), id, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := pki.NewBundle(ca.CertificatePEM(), cert, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := bundle.Parse()
	if err != nil {
		t.Fatal(err)
	}
	return pki.NewCertificateSource(c)
}

func TestOnlyManagersSpeakRaft(t *testing.T) {
	ca, err := pki.NewCA("c1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := peer.NewPort(l, slog.New(slog.DiscardHandler))
	port.InEra(func() (string, bool) { return "", false })
	defer port.Close()
	layer := port.Raft(l.Addr().String())
	if _, err := layer.Dial(raft.ServerAddress(l.Addr().String()), time.Second); err == nil {
		t.Error("dialled without a certificate")
	}
	manager := source(t, ca, warrenv1.Role_ROLE_MANAGER)
	port.Use(manager)

	taken := make(chan error, 1)
	go func() {
		conn, err := layer.Accept()
		if err == nil {
			_, err = conn.Write([]byte("x"))
			conn.Close()
		}
		taken <- err
	}()
	refused, err := tls.Dial("tcp", l.Addr().String(), pki.ClientTLS(source(t, ca, warrenv1.Role_ROLE_WORKER), peer.Protocol))
	if err == nil {
		defer refused.Close()
		if _, err = refused.Read(make([]byte, 1)); err == nil {
			t.Error("a worker speaks Raft")
		}
	}
	conn, err := layer.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); string(got) != "x" {
		t.Errorf("a manager got %q, %v", got, err)
	}
	if err := <-taken; err != nil {
		t.Error(err)
	}
}

func TestAFormerManagerIsRefused(t *testing.T) {
	ca, err := pki.NewCA("c1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := peer.NewPort(l, slog.New(slog.DiscardHandler))
	port.InEra(func() (string, bool) { return "", false })
	defer port.Close()
	layer := port.Raft(l.Addr().String())
	port.Use(source(t, ca, warrenv1.Role_ROLE_MANAGER))

	before := time.Now()
	near, err := layer.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := layer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	removed := func(id pki.Identity, issued time.Time) error {
		if id.Name != "node-a" || issued.After(before) || before.Sub(issued) > time.Minute {
			t.Errorf("asked about %s, issued at %v", id, issued)
		}
		return errors.New("it was removed")
	}
	port.Watch(removed)
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("what was open stays so")
	}
	again, err := layer.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
	if err == nil {
		defer again.Close()
		if _, err = again.Read(make([]byte, 1)); err == nil {
			t.Error("a former manager speaks Raft")
		}
	}
	port.Watch(func(pki.Identity, time.Time) error { return nil })
	third, err := layer.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	taken, err := layer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	taken.Close()
}

// A manager of an earlier life of the cluster is not listened to; one that has
// no state yet takes whichever era it is called in.
func TestManagersOfDifferentErasDoNotSpeakRaft(t *testing.T) {
	ca, err := pki.NewCA("c1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listen := func(era string, blank bool) raft.StreamLayer {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := peer.NewPort(l, slog.New(slog.DiscardHandler))
		t.Cleanup(func() { port.Close() })
		port.InEra(func() (string, bool) { return era, blank })
		port.Use(source(t, ca, warrenv1.Role_ROLE_MANAGER))
		return port.Raft(l.Addr().String())
	}
	old, fresh, blank := listen("", false), listen("NEW", false), listen("", true)
	for _, c := range []struct {
		from, to raft.StreamLayer
		may      bool
	}{{old, fresh, false}, {fresh, old, false}, {fresh, blank, true}, {old, blank, true}} {
		conn, err := c.from.Dial(raft.ServerAddress(c.to.Addr().String()), 5*time.Second)
		if c.may != (err == nil) {
			t.Errorf("%v calls %v: %v", c.from.Addr(), c.to.Addr(), err)
		}
		if err == nil {
			conn.Close()
		} else if !strings.Contains(err.Error(), "another era") {
			t.Errorf("it does not say why: %v", err)
		}
	}
}
