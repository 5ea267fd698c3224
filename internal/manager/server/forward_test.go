package server_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/peer"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/testkit"
)

// managers are three that agree, each with its API.
type managers struct {
	*testkit.Cluster
	cluster *cluster // of the first one; its members are everybody's
	address map[string]string
}

// peers are the other managers: the agreement names them by ID.
type peers struct {
	*testkit.Manager
	links   *peer.Links
	address map[string]string
}

func (p peers) To(id string) (grpc.ClientConnInterface, error) { return p.links.To(p.address[id]) }

func startManagers(t *testing.T) *managers {
	t.Parallel()
	keys, err := vault.Create(clusterID, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := &managers{Cluster: testkit.NewCluster(t, 3), address: map[string]string{}}
	m.cluster = &cluster{t: t, store: m.Managers[0].Store, vault: keys.Vault, keys: keys}
	m.cluster.update(func(tx *store.Tx) error { return tx.Cluster().Put(keys.Cluster) })
	for _, each := range m.Managers {
		m.cluster.enroll(each.ID, warrenv1.Role_ROLE_MANAGER)
	}
	for _, each := range m.Managers {
		m.serve(t, each)
	}
	return m
}

func (m *managers) serve(t *testing.T, one *testkit.Manager) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address[one.ID] = l.Addr().String()
	port := peer.NewPort(l, logs(t))
	port.Use(pki.NewCertificateSource(m.cluster.credential(one.ID, warrenv1.Role_ROLE_MANAGER)))
	links := port.Links()
	s := server.New(server.Config{
		Store: one.Store, Vault: m.cluster.vault, Streams: &workers{}, Clock: time.Now, Rand: random,
		Log: logs(t), Version: "1.2.3", Leader: one.Leader, Peers: peers{one, links, m.address},
	})
	g := grpc.NewServer(grpc.Creds(peer.Credentials()),
		grpc.UnaryInterceptor(s.UnaryInterceptor()), grpc.StreamInterceptor(s.StreamInterceptor()))
	s.Register(g)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(port.API()) }()
	t.Cleanup(func() {
		links.Close()
		g.Stop()
		port.Close()
		<-done
	})
}

// at connects somebody to one of the managers.
func (m *managers) at(t *testing.T, one *testkit.Manager, name string, roles ...warrenv1.Role) *grpc.ClientConn {
	t.Helper()
	tls := pki.ClientTLS(pki.NewCertificateSource(m.cluster.credential(name, roles...)))
	conn, err := grpc.NewClient(m.address[one.ID], grpc.WithTransportCredentials(credentials.NewTLS(tls)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAnyManagerTakesAnyRequest(t *testing.T) {
	m := startManagers(t)
	ctx := limited(t)
	m.cluster.enroll("alice", warrenv1.Role_ROLE_ADMIN)
	for i, one := range m.Managers {
		api := warrenv1.NewImagesClient(m.at(t, one, "alice", warrenv1.Role_ROLE_ADMIN))
		if _, err := api.SetRegistry(ctx, &warrenv1.SetRegistryRequest{Host: fmt.Sprintf("registry-%d.example:5000", i), PlainHttp: true}); err != nil {
			t.Fatalf("at %s: %v", one.ID, err)
		}
		// What was acknowledged anywhere is seen everywhere at once.
		for _, other := range m.Managers {
			list, err := warrenv1.NewImagesClient(m.at(t, other, "alice", warrenv1.Role_ROLE_ADMIN)).ListRegistries(ctx, &warrenv1.ListRegistriesRequest{})
			if err != nil || len(list.GetRegistries()) != i+1 {
				t.Fatalf("at %s: %v, %v", other.ID, list, err)
			}
		}
	}
}

func TestAStreamReachesTheLeader(t *testing.T) {
	m := startManagers(t)
	ctx := limited(t)
	m.cluster.enroll("alice", warrenv1.Role_ROLE_ADMIN)
	m.cluster.update(func(tx *store.Tx) error {
		return tx.Events().Append(&warrenv1.Event{Kind: "node", Name: "n", Reason: "tested"})
	})
	for _, one := range m.Managers {
		events, err := warrenv1.NewClustersClient(m.at(t, one, "alice", warrenv1.Role_ROLE_ADMIN)).
			ListEvents(ctx, &warrenv1.ListEventsRequest{Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		if e, err := events.Recv(); err != nil || e.GetReason() != "tested" {
			t.Errorf("at %s: %v, %v", one.ID, e, err)
		}
	}
}

func TestAFollowerAuthorizesBeforeItHandsOn(t *testing.T) {
	m := startManagers(t)
	m.cluster.enroll("rita", warrenv1.Role_ROLE_READER)
	m.cluster.enroll("mallory", warrenv1.Role_ROLE_WORKER)
	root := metadata.AppendToOutgoingContext(limited(t), "warren-caller-bin", `{"Name":"root","Roles":[2]}`)
	for name, c := range map[string]struct {
		ctx  context.Context
		who  string
		role warrenv1.Role
	}{
		"a reader that writes":             {limited(t), "rita", warrenv1.Role_ROLE_READER},
		"a reader that speaks for root":    {root, "rita", warrenv1.Role_ROLE_READER},
		"a worker that speaks for root":    {root, "mallory", warrenv1.Role_ROLE_WORKER},
		"a manager that speaks for itself": {limited(t), m.Managers[1].ID, warrenv1.Role_ROLE_MANAGER},
	} {
		for _, one := range m.Managers {
			_, err := warrenv1.NewImagesClient(m.at(t, one, c.who, c.role)).SetRegistry(c.ctx, &warrenv1.SetRegistryRequest{Host: "r.example:5000"})
			if status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s at %s: %v", name, one.ID, err)
			}
		}
	}
	// A manager may; that is how calls are handed on. At one that does not lead
	// such a call ends: it is not handed on in a circle.
	for _, one := range m.Managers {
		_, err := warrenv1.NewImagesClient(m.at(t, one, m.Managers[1].ID, warrenv1.Role_ROLE_MANAGER)).
			SetRegistry(root, &warrenv1.SetRegistryRequest{Host: "r.example:5000", PlainHttp: true})
		want := codes.Unavailable
		if one.IsLeader() {
			want = codes.OK
		}
		if status.Code(err) != want {
			t.Errorf("a manager that speaks for root at %s: %v", one.ID, err)
		}
	}
}

// A call that is under way when the leader vanishes is made again at the next
// one, and is done once.
func TestACallOutlivesItsLeader(t *testing.T) {
	m := startManagers(t)
	ctx := limited(t)
	m.cluster.enroll("alice", warrenv1.Role_ROLE_ADMIN)
	leader := m.Leader(ctx)
	follower := m.Managers[1]
	if follower == leader {
		follower = m.Managers[2]
	}
	api := warrenv1.NewImagesClient(m.at(t, follower, "alice", warrenv1.Role_ROLE_ADMIN))
	m.Isolate(leader.ID)
	again := metadata.AppendToOutgoingContext(ctx, server.RequestIDHeader, "request-1")
	if _, err := api.SetRegistry(again, &warrenv1.SetRegistryRequest{Host: "r.example:5000", PlainHttp: true}); err != nil {
		t.Fatal(err)
	}
	m.Heal()
}

func TestWithoutAMajorityOnlyStaleReadsAreAnswered(t *testing.T) {
	m := startManagers(t)
	ctx := limited(t)
	m.cluster.enroll("alice", warrenv1.Role_ROLE_ADMIN)
	last := m.Managers[2]
	api := warrenv1.NewImagesClient(m.at(t, last, "alice", warrenv1.Role_ROLE_ADMIN))
	if _, err := api.ListRegistries(ctx, &warrenv1.ListRegistriesRequest{}); err != nil {
		t.Fatal(err)
	}
	m.Isolate(last.ID)
	m.Cut(m.Managers[0].ID, m.Managers[1].ID)
	stale := metadata.AppendToOutgoingContext(ctx, server.StaleHeader, "true")
	if _, err := api.ListRegistries(stale, &warrenv1.ListRegistriesRequest{}); err != nil {
		t.Errorf("a stale read gave %v", err)
	}
	if _, err := api.ListRegistries(ctx, &warrenv1.ListRegistriesRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a read gave %v", err)
	}
	if _, err := api.SetRegistry(stale, &warrenv1.SetRegistryRequest{Host: "r.example:5000", PlainHttp: true}); status.Code(err) != codes.Unavailable {
		t.Errorf("a stale write gave %v", err)
	}
}
