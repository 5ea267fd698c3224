package server_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/control/place"
	"github.com/cuemby/warren/internal/manager/control/service"
	"github.com/cuemby/warren/internal/manager/control/volume"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const clusterID = "c1"

// cluster is a manager with its real store, vault, reconcilers and TLS. Its
// workers are played by the tests.
type cluster struct {
	t       *testing.T
	store   *store.Store
	state   *consensus.Consensus
	vault   *vault.Vault
	keys    *vault.Created
	address string
	keeper  *keeper.Keeper
	workers *workers
}

// newCluster starts a manager without nodes.
func newCluster(t *testing.T) *cluster { return startCluster(t, 10*time.Second) }

// newImpatientCluster waits but a moment for what does not move.
func newImpatientCluster(t *testing.T) *cluster {
	t.Parallel()
	return startCluster(t, 1500*time.Millisecond)
}

func startCluster(t *testing.T, patience time.Duration) *cluster {
	t.Helper()
	keys, err := vault.Create(clusterID, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, state := testkit.NewState(t)
	s.SetWitness(keys.Vault)
	c := &cluster{t: t, store: s, state: state, vault: keys.Vault, keys: keys, workers: &workers{nodes: map[string]*worker{}}}
	c.keeper = testkit.NewKeeper(t, c.store, keys)
	c.update(func(tx *store.Tx) error {
		if err := tx.Cluster().Put(keys.Cluster); err != nil {
			return err
		}
		return tx.ClusterKeys().Put(keys.Keys)
	})
	for _, r := range []interface{ Run(context.Context) error }{
		service.New(c.store, logs(t)), place.New(c.store, logs(t)), volume.New(c.store, logs(t)),
	} {
		c.background(r.Run)
	}
	c.serve(patience)
	return c
}

func (c *cluster) serve(patience time.Duration) {
	s := server.New(server.Config{
		Store: c.store, Vault: c.vault, Streams: c.workers, Clock: time.Now, Rand: random,
		Log: logs(c.t), Version: "1.2.3", Leader: func() string { return "node-1" }, Patience: patience,
		Keeper: c.keeper,
	})
	source := pki.NewCertificateSource(c.credential("node-1", warrenv1.Role_ROLE_MANAGER))
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(pki.ServerTLS(source))),
		grpc.UnaryInterceptor(s.UnaryInterceptor()), grpc.StreamInterceptor(s.StreamInterceptor()))
	s.Register(g)
	c.background(s.Run)
	warrenv1.RegisterDispatcherServer(g, warrenv1.UnimplementedDispatcherServer{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	c.background(func(context.Context) error { return g.Serve(l) })
	c.t.Cleanup(g.Stop)
}

// credential issues a certificate of the cluster's CA.
func (c *cluster) credential(name string, roles ...warrenv1.Role) *pki.Credential {
	c.t.Helper()
	bundle, err := c.vault.IssueBundle(pki.Identity{ClusterID: clusterID, Roles: roles, Name: name}, time.Now(), time.Hour)
	if err != nil {
		c.t.Fatal(err)
	}
	credential, err := bundle.Parse()
	if err != nil {
		c.t.Fatal(err)
	}
	return credential
}

// enroll makes somebody a member, whose ID is the name.
func (c *cluster) enroll(name string, roles ...warrenv1.Role) {
	c.t.Helper()
	meta := &warrenv1.Meta{Id: name, Name: name}
	c.update(func(tx *store.Tx) error {
		if roles[0] == warrenv1.Role_ROLE_WORKER || roles[0] == warrenv1.Role_ROLE_MANAGER {
			old, err := tx.Nodes().Get(name)
			if err == nil {
				old.Roles = roles
				return tx.Nodes().Put(old)
			}
			return tx.Nodes().Create(&warrenv1.Node{Meta: meta, Roles: roles})
		}
		if old, err := tx.Clients().Get(name); err == nil {
			old.Role = roles[0]
			return tx.Clients().Put(old)
		}
		return tx.Clients().Create(&warrenv1.Client{Meta: meta, Role: roles[0]})
	})
}

// dial connects as somebody with those roles.
func (c *cluster) dial(name string, roles ...warrenv1.Role) *grpc.ClientConn {
	c.t.Helper()
	c.enroll(name, roles...)
	tls := pki.ClientTLS(pki.NewCertificateSource(c.credential(name, roles...)))
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(tls)))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// api is what an admin works with.
type api struct {
	warrenv1.ClustersClient
	warrenv1.NodesClient
	warrenv1.JoiningClient
	warrenv1.VolumesClient
	warrenv1.SecretsClient
	warrenv1.ServicesClient
	warrenv1.TasksClient
	warrenv1.ImagesClient
}

func (c *cluster) admin() api {
	conn := c.dial("alice", warrenv1.Role_ROLE_ADMIN)
	return api{
		warrenv1.NewClustersClient(conn), warrenv1.NewNodesClient(conn), warrenv1.NewJoiningClient(conn), warrenv1.NewVolumesClient(conn),
		warrenv1.NewSecretsClient(conn), warrenv1.NewServicesClient(conn), warrenv1.NewTasksClient(conn),
		warrenv1.NewImagesClient(conn),
	}
}

// background runs f until the test ends, and waits for it then.
func (c *cluster) background(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			c.t.Errorf("a part of the cluster ended: %v", err)
		}
	})
	c.t.Cleanup(func() { cancel(); done.Wait() })
}

func (c *cluster) update(f func(*store.Tx) error) {
	c.t.Helper()
	if err := c.store.Update(context.Background(), f); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) view(f func(*store.ReadTx) error) {
	c.t.Helper()
	if err := c.store.View(context.Background(), f); err != nil {
		c.t.Fatal(err)
	}
}

// until waits for something to become true of the state.
func (c *cluster) until(what string, f func(*store.ReadTx) bool) {
	c.t.Helper()
	w := c.store.Watch()
	defer w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for ok := false; !ok; {
		if _, err := w.Next(ctx); err != nil {
			c.t.Fatalf("waiting until %s: %v", what, err)
		}
		c.view(func(tx *store.ReadTx) error { ok = f(tx); return nil })
	}
}

// sealed seals a value as a client does.
func (c *cluster) sealed(info []byte, key, value string) *warrenv1.SealedItem {
	c.t.Helper()
	p, err := seal.PlaintextFrom([]byte(value))
	if err != nil {
		c.t.Fatal(err)
	}
	defer p.Destroy()
	ct, err := seal.SealTo(c.keys.Cluster.GetSealingKey(), info, p)
	if err != nil {
		c.t.Fatal(err)
	}
	return &warrenv1.SealedItem{Key: key, Ciphertext: ct}
}

// secretItem seals one item of a secret.
func (c *cluster) secretItem(name, key, value string) *warrenv1.SealedItem {
	return c.sealed(seal.ToClusterInfo(clusterID, "default", name, key), key, value)
}

func random() (r spec.Random) {
	_, _ = rand.Read(r[:])
	return r
}

func logs(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
