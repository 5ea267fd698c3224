package client

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// fixture answers volume calls as told, and remembers their request IDs.
type fixture struct {
	warrenv1.UnimplementedVolumesServer

	mu      sync.Mutex
	answers []error // of the next calls, then all go well
	ids     [][]string
	stale   bool // what the last call asked for
}

func (f *fixture) next(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = len(metadata.ValueFromIncomingContext(ctx, staleKey)) > 0
	f.ids = append(f.ids, metadata.ValueFromIncomingContext(ctx, RequestIDKey))
	if len(f.answers) == 0 {
		return nil
	}
	err := f.answers[0]
	f.answers = f.answers[1:]
	return err
}

func (f *fixture) calls() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids
}

func (f *fixture) CreateVolume(ctx context.Context, r *warrenv1.CreateVolumeRequest) (*warrenv1.Volume, error) {
	return &warrenv1.Volume{Meta: &warrenv1.Meta{Name: r.Name}}, f.next(ctx)
}

func (f *fixture) ListVolumes(ctx context.Context, _ *warrenv1.ListVolumesRequest) (*warrenv1.ListVolumesResponse, error) {
	return &warrenv1.ListVolumesResponse{}, f.next(ctx)
}

// serve runs a manager until the test ends or stop is called.
func serve(t *testing.T, f *fixture, l net.Listener, opts ...grpc.ServerOption) (stop func()) {
	t.Helper()
	server := grpc.NewServer(opts...)
	warrenv1.RegisterVolumesServer(server, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	stop = sync.OnceFunc(func() {
		server.Stop()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

func listen(t *testing.T, network, at string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// onSocket serves a manager on a socket and returns a client of it.
func onSocket(t *testing.T, f *fixture) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	serve(t, f, listen(t, "unix", path))
	return dial(t, Options{Manager: "unix://" + path})
}

func dial(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// cluster is a certificate authority and what it gives out.
type cluster struct {
	t  *testing.T
	ca *pki.CA
}

func newCluster(t *testing.T, id string) cluster {
	t.Helper()
	ca, err := pki.NewCA(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cluster{t, ca}
}

func (c cluster) bundle(role warrenv1.Role, name string) pki.Bundle {
	c.t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		c.t.Fatal(err)
	}
	id := pki.Identity{ClusterID: c.ca.ClusterID(), Roles: []warrenv1.Role{role}, Name: name}
	cert, err := c.ca.Issue(key.Public(), id, time.Now(), time.Hour)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := pki.NewBundle(c.ca.CertificatePEM(), cert, key)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c cluster) managerTLS() *tls.Config {
	c.t.Helper()
	b := c.bundle(warrenv1.Role_ROLE_MANAGER, "node-a")
	defer b.Key.Destroy()
	credential, err := b.Parse()
	if err != nil {
		c.t.Fatal(err)
	}
	return pki.ServerTLS(pki.NewCertificateSource(credential))
}

// home is a directory with a certificate of each of the clusters in it.
func home(t *testing.T, clusters ...cluster) string {
	t.Helper()
	dir := t.TempDir()
	for _, c := range clusters {
		b := c.bundle(warrenv1.Role_ROLE_ADMIN, "ann")
		err := pki.NewHome(dir).Write(b)
		b.Key.Destroy()
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// onLoopback serves a manager over TLS and returns its address.
func onLoopback(t *testing.T, f *fixture, config *tls.Config) string {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, f, l, grpc.Creds(credentials.NewTLS(config)))
	return l.Addr().String()
}
