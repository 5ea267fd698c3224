package pki

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func newToken(t testing.TB, ca *CA) Token {
	t.Helper()
	token, err := NewToken(ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenIsReadAsItWasShown(t *testing.T) {
	token := newToken(t, newCA(t, "c1"))
	for _, text := range []string{token.Reveal(), " " + strings.ToLower(token.Reveal()) + "\n"} {
		if got, err := ParseToken(text); err != nil || got != token {
			t.Errorf("%v, %v", got, err)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if said := fmt.Sprintf(verb, token); strings.Contains(said, token.Secret) {
			t.Errorf("%s prints the secret: %s", verb, said)
		}
	}
}

func TestADamagedTokenIsRefusedWithoutBeingQuoted(t *testing.T) {
	token := newToken(t, newCA(t, "c1"))
	whole := token.Reveal()
	for name, text := range map[string]string{
		"empty": "", "a word": "hello", "a path": "/etc/passwd", "no parts": "WRNT", "huge": strings.Repeat(whole, 9),
		"later version": strings.Replace(whole, "WRNT-1-", "WRNT-2-", 1),
		"twice":         whole + "-" + whole, "a digit too many": whole + "A",
		"without secret": strings.TrimSuffix(whole, "-"+token.Secret),
		"0 for O":        whole[:len(whole)-1] + "0",
		"fingerprint":    strings.Replace(whole, "WRNT-1-", "WRNT-1-0", 1),
	} {
		_, err := ParseToken(text)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), token.Secret) {
			t.Errorf("%s: the refusal quotes the secret", name)
		}
	}
	for n := range len(whole) {
		if _, err := ParseToken(whole[:n]); err == nil {
			t.Errorf("the first %d characters are accepted", n)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	ca, _ := NewCA("c1", epoch)
	token, _ := NewToken(ca.CertificatePEM())
	f.Add(token.Reveal())
	f.Add("WRNT-1---")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		if again, err := ParseToken(token.Reveal()); err != nil || again != token {
			t.Errorf("%q reads as another token: %v", text, err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	key, _ := NewKey()
	der, _ := key.Request()
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		if pub, hash, err := ParseRequest(der); err == nil && (pub == nil || len(hash) != 32) {
			t.Error("accepted without a key")
		}
	})
}

func TestWhoJoinsSpeaksOnlyToTheTokensCluster(t *testing.T) {
	ca, other, impostor := newCA(t, "c1"), newCA(t, "c2"), newCA(t, "c1")
	at := func(now time.Time) func() time.Time { return func() time.Time { return now } }
	server := ServerTLS(source(credential(t, ca, "node-1", manager)))
	for name, c := range map[string]struct {
		token  Token
		server *tls.Config
		now    time.Time
		want   string
	}{
		"the right one":   {newToken(t, ca), server, epoch, ""},
		"another cluster": {newToken(t, other), server, epoch, "manager of cluster c1"},
		"same name":       {newToken(t, impostor), server, epoch, "another cluster"},
		"a worker":        {newToken(t, ca), ServerTLS(source(credential(t, ca, "node-2", worker))), epoch, "not a manager"},
		"a late clock":    {newToken(t, ca), server, epoch.Add(2 * NodeTTL), "this machine's clock says"},
		"an early clock":  {newToken(t, ca), server, epoch.Add(-24 * time.Hour), "this machine's clock says"},
	} {
		_, serverErr, clientErr := connect(t, c.server, joinTLS(c.token, at(c.now)))
		switch {
		case c.want == "":
			// The handshake is done; who the peer is stays unknown.
			if serverErr == nil || !strings.Contains(serverErr.Error(), "no certificate") {
				t.Errorf("%s: %v, %v", name, serverErr, clientErr)
			}
		case clientErr == nil || !strings.Contains(clientErr.Error(), c.want):
			t.Errorf("%s: %v", name, clientErr)
		}
		if c.want == "manager of cluster c1" && !errors.Is(clientErr, ErrOtherCluster) {
			t.Errorf("%s: %v is not ErrOtherCluster", name, clientErr)
		}
	}
}

// Saying that one joins opens no other way in: a certificate that is shown is
// still checked.
func TestWhoJoinsCannotShowAStrangersCertificate(t *testing.T) {
	ca, other := newCA(t, "c1"), newCA(t, "c2")
	config := joinTLS(newToken(t, ca), func() time.Time { return epoch })
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &credential(t, other, "alice", admin).tls, nil
	}
	if _, serverErr, _ := connect(t, ServerTLS(source(credential(t, ca, "node-1", manager))), config); serverErr == nil {
		t.Error("let in")
	}
}

func TestACertificateRequestProvesTheKey(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	if pub, _, err := ParseRequest(der); err != nil || !key.private.PublicKey.Equal(pub) {
		t.Errorf("%v, %v", pub, err)
	}
	der[len(der)-1] ^= 1
	if _, _, err := ParseRequest(der); err == nil {
		t.Error("a request that is signed by nobody is accepted")
	}
	p, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	if again, err := ParseKey(p.Bytes()); err != nil || !again.private.Equal(key.private) {
		t.Errorf("the key came back as another: %v", err)
	}
}
