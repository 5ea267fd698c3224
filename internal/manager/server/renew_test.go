package server_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/pki"
)

// A certificate that is due is traded for one with another key, and that one
// works; one that is not due stays.
func TestAPersonsCertificateIsRenewedWhenItIsDue(t *testing.T) {
	c := newCluster(t)
	token := c.token(warrenv1.Role_ROLE_ADMIN, func(r *warrenv1.CreateTokenRequest) { r.Client = "ann" })
	key := newKey(t)
	admission, err := client.Join(ctx, client.JoinOptions{Manager: c.address, Token: token, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer admission.Bundle.Key.Destroy()
	home := t.TempDir()
	if err := pki.NewHome(home).Write(admission.Bundle); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(home, ".warren", admission.ClusterID, name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	certificate, private := read("cert.pem"), read("key.pem")
	for _, in := range []struct {
		after   time.Duration
		renewed bool
	}{{pki.ClientTTL / 2, false}, {pki.ClientTTL * 3 / 4, true}} {
		person, err := client.Dial(ctx, client.Options{Manager: c.address, Home: home})
		if err != nil {
			t.Fatal(err)
		}
		err = person.RenewCertificate(ctx, home, time.Now().Add(in.after))
		person.Close()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(read("cert.pem"), certificate) == in.renewed || bytes.Equal(read("key.pem"), private) == in.renewed {
			t.Errorf("after %s: renewed is not %v", in.after, in.renewed)
		}
	}
	person, err := client.Dial(ctx, client.Options{Manager: c.address, Home: home})
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	if _, err := person.Volumes.ListVolumes(ctx, &warrenv1.ListVolumesRequest{}); err != nil {
		t.Errorf("with the new certificate: %v", err)
	}
}
