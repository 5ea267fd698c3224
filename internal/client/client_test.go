package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestACertificateOfTheClusterIsNeededOverTCP(t *testing.T) {
	ours, theirs := newCluster(t, "c1"), newCluster(t, "c2")
	addr := onLoopback(t, &fixture{}, ours.managerTLS())

	c := dial(t, Options{Manager: addr, Home: home(t, theirs, ours)})
	if _, err := c.Volumes.ListVolumes(t.Context(), &warrenv1.ListVolumesRequest{}); err != nil {
		t.Fatal(err)
	}
	if c.Address() != addr {
		t.Errorf("the address is %s, not %s", c.Address(), addr)
	}
	for name, dir := range map[string]string{
		"no certificate":                t.TempDir(),
		"another cluster's certificate": home(t, theirs),
	} {
		_, err := Dial(t.Context(), Options{Manager: addr, Home: dir})
		wantError(t, name, err, Denied, addr, "no certificate")
	}
}

// In TLS 1.3 a client has finished its handshake before the server looks at
// the certificate.
func TestAServerThatRefusesTheCertificateIsADenial(t *testing.T) {
	ours := newCluster(t, "c1")
	config := ours.managerTLS()
	inner := config.GetConfigForClient
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := inner(h)
		c.VerifyConnection = func(tls.ConnectionState) error { return errors.New("revoked") }
		return c, err
	}
	addr := onLoopback(t, &fixture{}, config)
	_, err := Dial(t.Context(), Options{Manager: addr, Home: home(t, ours)})
	wantError(t, "refused", err, Denied, addr, "bad certificate")
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	closed := l.Addr().String()
	l.Close()
	withCertificate := home(t, newCluster(t, "c1"))
	for _, dir := range []string{withCertificate, t.TempDir()} {
		_, err := Dial(t.Context(), Options{Manager: closed, Home: dir})
		wantError(t, "closed port", err, Unreachable, closed, "connection refused")
	}
	_, err := Dial(t.Context(), Options{Manager: "unix://" + filepath.Join(t.TempDir(), "s")})
	wantError(t, "no socket", err, Unreachable, "unix://", "no such socket")
}

func TestSomethingElseThereIsUnreachable(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH\r\n")
			conn.Close()
		}
	}()
	_, err := Dial(t.Context(), Options{Manager: l.Addr().String(), Home: home(t, newCluster(t, "c1"))})
	wantError(t, "no TLS", err, Unreachable, l.Addr().String(), "does not speak TLS")
}

func TestTheSocketFallsThroughToTCPAndTheErrorNamesBoth(t *testing.T) {
	for _, named := range []string{"", DefaultSocket} {
		list, err := candidates(named)
		if err != nil || len(list) != 2 || list[0].String() != DefaultSocket || list[1].String() != DefaultAddress {
			t.Errorf("candidates(%q) = %v, %v", named, list, err)
		}
	}
	if list, err := candidates("unix:///other/warren.sock"); err != nil || len(list) != 1 {
		t.Errorf("another socket must not lead to this machine's manager: %v, %v", list, err)
	}
	list, _ := candidates("")
	err := notReached([]failure{
		{list[0], &net.OpError{Op: "dial", Err: errPermission}},
		{list[1], &net.OpError{Op: "dial", Err: errRefused}},
	})
	wantError(t, "both", err, Unreachable, DefaultSocket+" (permission denied)", DefaultAddress+" (connection refused)")
}

func TestASocketOfRootIsADenialToOthers(t *testing.T) {
	a, err := parseAddress("unix:///other/warren.sock")
	if err != nil {
		t.Fatal(err)
	}
	err = notReached([]failure{{a, &net.OpError{Op: "dial", Err: errPermission}}})
	wantError(t, "socket of root", err, Denied, "permission denied")
}

func TestACallOutlivesARestartOfTheManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stop := serve(t, &fixture{}, listen(t, "unix", path))
	c := dial(t, Options{Manager: "unix://" + path})
	stop()
	result := make(chan error)
	go func() {
		_, err := c.Volumes.CreateVolume(t.Context(), &warrenv1.CreateVolumeRequest{Name: "db"})
		result <- err
	}()
	f := &fixture{}
	serve(t, f, listen(t, "unix", path))
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if n := len(f.calls()); n != 1 {
		t.Errorf("the new manager saw %d calls", n)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, Options{Manager: "unix:///nowhere"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func wantError(t *testing.T, what string, err error, code Code, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: got %v", what, err)
	}
	if e.Code != code {
		t.Errorf("%s: code %d, not %d: %v", what, e.Code, code, err)
	}
	for _, part := range parts {
		if !strings.Contains(e.Message, part) {
			t.Errorf("%s: %q does not name %q", what, e.Message, part)
		}
	}
}
