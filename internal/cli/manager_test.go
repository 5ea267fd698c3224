package cli_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/control/place"
	"github.com/cuemby/warren/internal/manager/control/service"
	"github.com/cuemby/warren/internal/manager/control/volume"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// TestScriptsWithAManager runs testdata/manager/*.txtar against a real manager
// over TLS; only its one node is played.
func TestScriptsWithAManager(t *testing.T) {
	m := startManager(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "manager"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("WARREN_MANAGER", m.address)
			env.Setenv("TZ", "UTC")
			env.Setenv("SUDO_USER", "")
			for name, role := range map[string]warrenv1.Role{
				"admin": warrenv1.Role_ROLE_ADMIN, "reader": warrenv1.Role_ROLE_READER,
			} {
				home := filepath.Join(env.WorkDir, name)
				if err := os.Mkdir(home, 0o700); err != nil {
					return err
				}
				b, err := m.keys.Vault.IssueBundle(pki.Identity{ClusterID: clusterID, Roles: []warrenv1.Role{role}, Name: name}, time.Now(), time.Hour)
				if err != nil {
					return err
				}
				err = pki.NewHome(home).Write(b)
				b.Key.Destroy()
				if err != nil {
					return err
				}
			}
			env.Setenv("HOME", filepath.Join(env.WorkDir, "admin"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// manager is a cluster of one, with its real store, keys and reconcilers.
type manager struct {
	keys    *vault.Created
	store   *store.Store
	address string
}

func startManager(t *testing.T) *manager {
	t.Helper()
	keys, err := vault.Create(clusterID, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{keys: keys, store: testkit.NewStore(t)}
	node := &warrenv1.Node{
		Meta:  &warrenv1.Meta{Id: "node-1", Name: "worker-1"},
		Roles: []warrenv1.Role{warrenv1.Role_ROLE_MANAGER, warrenv1.Role_ROLE_WORKER},
	}
	ready := &warrenv1.NodeStatus{NodeId: "node-1", State: warrenv1.NodeState_NODE_STATE_READY}
	err = m.store.Update(t.Context(), func(tx *store.Tx) error {
		for _, err := range []error{
			tx.Cluster().Put(keys.Cluster), tx.ClusterKeys().Put(keys.Keys),
			tx.Nodes().Create(node), tx.NodeStatus().Put(ready, "node-1"),
			tx.Clients().Create(&warrenv1.Client{Meta: &warrenv1.Meta{Id: "admin", Name: "admin"}, Role: warrenv1.Role_ROLE_ADMIN}),
			tx.Clients().Create(&warrenv1.Client{Meta: &warrenv1.Meta{Id: "reader", Name: "reader"}, Role: warrenv1.Role_ROLE_READER}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	m.run(t, service.New(m.store, log).Run, place.New(m.store, log).Run, volume.New(m.store, log).Run, m.playNode)
	m.serve(t, log)
	return m
}

// run keeps the parts going until the test ends.
func (m *manager) run(t *testing.T, parts ...func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		g.Go(func() error { return part(ctx) })
	}
	t.Cleanup(func() {
		stop()
		if err := g.Wait(); err != nil && ctx.Err() == nil {
			t.Errorf("a part of the manager ended: %v", err)
		}
	})
}

func (m *manager) serve(t *testing.T, log *slog.Logger) {
	t.Helper()
	b, err := m.keys.Vault.IssueBundle(pki.Identity{ClusterID: clusterID, Roles: []warrenv1.Role{warrenv1.Role_ROLE_MANAGER}, Name: "node-1"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Key.Destroy()
	credential, err := b.Parse()
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Config{
		Store: m.store, Vault: m.keys.Vault, Keeper: testkit.NewKeeper(t, m.store, m.keys), Streams: noStreams{}, Clock: time.Now, Log: log, Version: "v1.2.3",
		Rand: func() (r spec.Random) { _, _ = rand.Read(r[:]); return r },
	})
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(pki.ServerTLS(pki.NewCertificateSource(credential)))),
		grpc.UnaryInterceptor(s.UnaryInterceptor()), grpc.StreamInterceptor(s.StreamInterceptor()))
	s.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(l)
	}()
	t.Cleanup(func() {
		g.Stop()
		<-served
	})
}

// playNode makes and removes volumes, and runs and stops tasks, at once.
func (m *manager) playNode(ctx context.Context) error {
	watch := m.store.Watch(store.TableVolumes, store.TableTasks)
	defer watch.Close()
	for {
		if _, err := watch.Next(ctx); err != nil {
			return err
		}
		if err := m.store.Update(ctx, reportOfNode); err != nil {
			return err
		}
	}
}

func reportOfNode(tx *store.Tx) error {
	for key, v := range tx.Volumes().List() {
		if v.GetNodeId() != "node-1" {
			continue
		}
		used := uint64(4096)
		st := &warrenv1.VolumeStatus{
			VolumeId: key.ID(), NodeId: "node-1", Phase: warrenv1.VolumePhase_VOLUME_PHASE_READY, UsedBytes: &used,
			MountPoint: spec.VolumePath("/var/lib/warren/volumes", key.Namespace(), v.GetMeta().GetName()),
		}
		if v.GetDeletedAt() != nil {
			st.Phase = warrenv1.VolumePhase_VOLUME_PHASE_GONE
		}
		if err := tx.VolumeStatus().Put(st, key.Parts()...); err != nil {
			return err
		}
	}
	for key, t := range tx.Tasks().OfNode("node-1") {
		st, err := tx.TaskStatus().Get(key.Parts()...)
		if err != nil {
			return err
		}
		st.State, st.Secrets = warrenv1.TaskState_TASK_STATE_RUNNING, nil
		for _, pin := range t.GetSecrets() {
			st.Secrets = append(st.Secrets, &warrenv1.SecretInPlace{SecretId: pin.GetSecretId(), Version: pin.GetVersion()})
		}
		if t.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED {
			st.State = warrenv1.TaskState_TASK_STATE_STOPPED
		}
		if err := tx.TaskStatus().Put(st, key.Parts()...); err != nil {
			return err
		}
	}
	return nil
}

// noStreams stands for a node that no stream can be opened to.
type noStreams struct{}

func (noStreams) Open(context.Context, string, *warrenv1.OpenStream) (server.Stream, error) {
	return nil, status.Error(codes.Unavailable, "the node is not connected")
}
