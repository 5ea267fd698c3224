package server_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
)

const (
	asWorker  = warrenv1.Role_ROLE_WORKER
	asManager = warrenv1.Role_ROLE_MANAGER
)

// token makes a token as an administrator does.
func (c *cluster) token(role warrenv1.Role, change func(*warrenv1.CreateTokenRequest)) pki.Token {
	c.t.Helper()
	token, err := pki.NewToken(c.vault.CACertificate())
	if err != nil {
		c.t.Fatal(err)
	}
	r := &warrenv1.CreateTokenRequest{Id: token.ID, Hash: token.Hash(), Role: role}
	if change != nil {
		change(r)
	}
	if _, err := c.admin().CreateToken(ctx, r); err != nil {
		c.t.Fatal(err)
	}
	return token
}

// joiner connects without a certificate, trusting the token's CA alone.
func (c *cluster) joiner(token pki.Token) *grpc.ClientConn {
	c.t.Helper()
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(pki.JoinTLS(token))))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

func joinRequest(t *testing.T, token pki.Token, key *pki.Key, name string) *warrenv1.JoinRequest {
	t.Helper()
	der, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	return &warrenv1.JoinRequest{TokenId: token.ID, TokenSecret: token.Secret, CertificateRequest: der, Name: name}
}

func newKey(t *testing.T) *pki.Key {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (c *cluster) join(token pki.Token, name string) (*warrenv1.JoinResponse, error) {
	c.t.Helper()
	return warrenv1.NewJoiningClient(c.joiner(token)).Join(ctx, joinRequest(c.t, token, newKey(c.t), name))
}

func TestAWorkerJoinsWithAToken(t *testing.T) {
	c := newCluster(t)
	answer, err := c.join(c.token(asWorker, nil), "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(answer.GetCertificate())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.CertificateIdentity(cert)
	if err != nil || id.Name != answer.GetId() || !id.Has(asWorker) || id.Has(asManager) {
		t.Errorf("the certificate is that of %v, %v", id, err)
	}
	node, err := c.admin().GetNode(ctx, &warrenv1.Ref{NameOrId: "worker-1"})
	if err != nil || node.GetMeta().GetId() != answer.GetId() {
		t.Errorf("%v, %v", node, err)
	}
	if answer.GetSealedUnlockKey() != nil {
		t.Error("a worker got the unlock key")
	}
}

// An answer that was lost is asked for again; with another key it is somebody
// else who asks.
func TestJoiningTwice(t *testing.T) {
	c := newCluster(t)
	token := c.token(asWorker, func(r *warrenv1.CreateTokenRequest) { r.SingleUse = true })
	key, conn := newKey(t), c.joiner(token)
	first, err := warrenv1.NewJoiningClient(conn).Join(ctx, joinRequest(t, token, key, "worker-1"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := warrenv1.NewJoiningClient(conn).Join(ctx, joinRequest(t, token, key, "worker-1"))
	if err != nil || again.GetId() != first.GetId() {
		t.Errorf("the second answer: %v, %v", again, err)
	}
	_, err = c.join(token, "worker-1")
	if hint := wantError(t, err, codes.AlreadyExists, `a node named "worker-1" already`); !strings.Contains(hint, "--node-name") {
		t.Errorf("hint %q", hint)
	}
	_, err = c.join(token, "worker-2")
	wantError(t, err, codes.PermissionDenied, "used already")
}

func TestTokensThatAdmitNobody(t *testing.T) {
	c := newCluster(t)
	wrong := c.token(asWorker, nil)
	wrong.Secret = strings.Repeat("A", len(wrong.Secret))
	unknown := c.token(asWorker, nil)
	unknown.ID = "AAAAAAAAAA"
	expired := c.token(asWorker, nil)
	rotated := c.token(asWorker, nil)
	c.update(func(tx *store.Tx) error {
		row, err := tx.Tokens().Get(expired.ID)
		row.ExpiresAt = timestamppb.New(time.Now().Add(-time.Second))
		if err != nil {
			return err
		}
		return tx.Tokens().Put(row, expired.ID)
	})
	for name, x := range map[string]struct {
		token pki.Token
		says  string
	}{
		"wrong secret": {wrong, "not valid"}, "unknown": {unknown, "not valid"}, "expired": {expired, "expired at"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.join(x.token, "worker-1")
			if hint := wantError(t, err, codes.PermissionDenied, x.says); !strings.Contains(hint, "join-token") {
				t.Errorf("hint %q", hint)
			}
		})
	}
	c.token(asWorker, func(r *warrenv1.CreateTokenRequest) { r.Rotate = true })
	_, err := c.join(rotated, "worker-1")
	wantError(t, err, codes.PermissionDenied, "not valid")
}

func TestAManagerGetsTheUnlockKeySealedToItsOwn(t *testing.T) {
	c := newCluster(t)
	token := c.token(asManager, nil)
	envelope, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name, address string) (*warrenv1.JoinResponse, error) {
		r := joinRequest(t, token, newKey(t), name)
		r.Address, r.SealingKey = address, envelope.PublicKey()
		return warrenv1.NewJoiningClient(c.joiner(token)).Join(ctx, r)
	}
	answer, err := ask("manager-2", "10.0.0.2:8080")
	if err != nil {
		t.Fatal(err)
	}
	key, err := envelope.Open(seal.ToManagerInfo(clusterID, answer.GetId()), answer.GetSealedUnlockKey())
	if err != nil {
		t.Fatal(err)
	}
	defer key.Destroy()
	if string(key.Bytes()) != c.keys.Unlock.Reveal() {
		t.Error("another unlock key arrived")
	}
	_, err = ask("manager-3", "10.0.0.2:8080")
	wantError(t, err, codes.AlreadyExists, "has the address 10.0.0.2:8080 already")
	_, err = ask("manager-3", "nowhere")
	wantError(t, err, codes.InvalidArgument, "no address")
}

func TestTokensThatCannotBeMade(t *testing.T) {
	c := newCluster(t)
	good, err := pki.NewToken(c.vault.CACertificate())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*warrenv1.CreateTokenRequest){
		"no ID":            func(r *warrenv1.CreateTokenRequest) { r.Id = "" },
		"a path as ID":     func(r *warrenv1.CreateTokenRequest) { r.Id = "a/b" },
		"no hash":          func(r *warrenv1.CreateTokenRequest) { r.Hash = nil },
		"for an admin":     func(r *warrenv1.CreateTokenRequest) { r.Role = warrenv1.Role_ROLE_ADMIN },
		"worker as person": func(r *warrenv1.CreateTokenRequest) { r.Client = "alice" },
		"for ever":         func(r *warrenv1.CreateTokenRequest) { r.Ttl = durationpb.New(1e6 * time.Hour) },
		"for no time":      func(r *warrenv1.CreateTokenRequest) { r.Ttl = durationpb.New(0) },
		"negative":         func(r *warrenv1.CreateTokenRequest) { r.Ttl = durationpb.New(-time.Hour) },
		"a bad name": func(r *warrenv1.CreateTokenRequest) {
			r.Client, r.Role = "../alice", warrenv1.Role_ROLE_ADMIN
		},
	} {
		r := &warrenv1.CreateTokenRequest{Id: good.ID, Hash: good.Hash(), Role: asWorker}
		change(r)
		_, err := c.admin().CreateToken(ctx, r)
		t.Run(name, func(t *testing.T) { wantError(t, err, codes.InvalidArgument, "") })
	}
}

// A person's token names the person and the role; the certificate is renewed
// with what is left of it.
func TestAPersonGetsACertificateAndRenewsIt(t *testing.T) {
	c := newCluster(t)
	token := c.token(warrenv1.Role_ROLE_READER, func(r *warrenv1.CreateTokenRequest) { r.Client = "bob" })
	key := newKey(t)
	answer, err := warrenv1.NewJoiningClient(c.joiner(token)).Join(ctx, joinRequest(t, token, key, ""))
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetName() != "bob" || answer.GetRole() != warrenv1.Role_ROLE_READER {
		t.Errorf("%v", answer)
	}
	bundle, err := pki.NewBundle(answer.GetCaCertificate(), answer.GetCertificate(), key)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := bundle.Parse()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(pki.ClientTLS(pki.NewCertificateSource(credential)))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	der, err := key.Request()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := warrenv1.NewJoiningClient(conn).Renew(ctx, &warrenv1.RenewRequest{CertificateRequest: der}); err != nil {
		t.Error(err)
	}
	if _, err := c.join(token, ""); err == nil {
		t.Error("the token admits a second person")
	}
	_, err = warrenv1.NewVolumesClient(conn).CreateVolume(ctx, &warrenv1.CreateVolumeRequest{Name: "a"})
	wantError(t, err, codes.PermissionDenied, "reader bob may not call")
}
