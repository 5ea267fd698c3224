package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/pki"
)

// methods calls f with every RPC of the API.
func methods(f func(name string, m protoreflect.MethodDescriptor, rule *warrenv1.Access)) {
	protoregistry.GlobalFiles.RangeFilesByPackage("warren.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				rule, _ := proto.GetExtension(m.Options(), warrenv1.E_Access).(*warrenv1.Access)
				f("/"+string(s.FullName())+"/"+string(m.Name()), m, rule)
			}
		}
		return true
	})
}

func TestEveryRPCSaysWhoMayCall(t *testing.T) {
	n := 0
	methods(func(name string, _ protoreflect.MethodDescriptor, rule *warrenv1.Access) {
		n++
		if len(rule.GetRoles()) == 0 {
			t.Errorf("%s has no access option: it is refused to everybody", name)
		}
	})
	if n < 25 {
		t.Errorf("only %d RPCs were found", n)
	}
}

// Each RPC is tried with each role. Whoever may not is told so before the
// request is looked at; whoever may gets any other answer.
func TestEachRPCWithEachIdentity(t *testing.T) {
	c := newCluster(t)
	for role, word := range map[warrenv1.Role]string{
		warrenv1.Role_ROLE_READER: "reader", warrenv1.Role_ROLE_ADMIN: "admin",
		warrenv1.Role_ROLE_WORKER: "worker", warrenv1.Role_ROLE_MANAGER: "manager",
	} {
		conn := c.dial("somebody", role)
		methods(func(name string, m protoreflect.MethodDescriptor, rule *warrenv1.Access) {
			may := false
			for _, r := range rule.GetRoles() {
				may = may || r == role || r == warrenv1.Role_ROLE_ANYONE || r == warrenv1.Role_ROLE_READER && role == warrenv1.Role_ROLE_ADMIN
			}
			c.enroll("somebody", role) // who leaves, comes back
			err := call(conn, name, m)
			if denied := status.Code(err) == codes.PermissionDenied; denied == may {
				t.Errorf("%s as %s: %v", name, word, err)
			}
			if !may && !strings.Contains(status.Convert(err).Message(), word+" somebody may not call "+name) {
				t.Errorf("%s as %s: %v", name, word, err)
			}
		})
	}
}

// Without a certificate only one door is open: the one to get a certificate.
func TestWithoutACertificateOneCanOnlyJoin(t *testing.T) {
	c := newCluster(t)
	conn := c.joiner(c.token(warrenv1.Role_ROLE_WORKER, nil))
	methods(func(name string, m protoreflect.MethodDescriptor, rule *warrenv1.Access) {
		err := call(conn, name, m)
		if joins := name == "/warren.v1.Joining/Join"; joins != (status.Code(err) == codes.InvalidArgument) || joins == (status.Code(err) == codes.PermissionDenied) {
			t.Errorf("%s without a certificate: %v", name, err)
		}
		if anyone := slices.Contains(rule.GetRoles(), warrenv1.Role_ROLE_ANYONE); anyone && name != "/warren.v1.Joining/Join" {
			t.Errorf("%s is open to anyone", name)
		}
	})
}

// A certificate is worth what the cluster's state says: nothing for who was
// removed, and not more than the roles that are left.
func TestACertificateIsWorthWhatItsRowSays(t *testing.T) {
	c := newCluster(t)
	bob := warrenv1.NewVolumesClient(c.dial("bob", warrenv1.Role_ROLE_ADMIN))
	list := func() error {
		_, err := bob.ListVolumes(ctx, &warrenv1.ListVolumesRequest{})
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	c.enroll("bob", warrenv1.Role_ROLE_READER)
	wantError(t, list(), codes.PermissionDenied, "may not call")
	if _, err := c.admin().RevokeClient(ctx, &warrenv1.Ref{NameOrId: "bob"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, list(), codes.PermissionDenied, "no member of the cluster any more")
}

// What is open when somebody is removed ends at once.
func TestRemovalEndsOpenCalls(t *testing.T) {
	c := newCluster(t)
	events, err := warrenv1.NewClustersClient(c.dial("bob", warrenv1.Role_ROLE_READER)).
		ListEvents(ctx, &warrenv1.ListEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.admin().RevokeClient(ctx, &warrenv1.Ref{NameOrId: "bob"}); err != nil {
		t.Fatal(err)
	}
	_, err = events.Recv()
	wantError(t, err, codes.PermissionDenied, "no member of the cluster any more")
}

// call makes an empty call of any kind.
func call(conn *grpc.ClientConn, name string, m protoreflect.MethodDescriptor) error {
	desc := &grpc.StreamDesc{ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}
	s, err := conn.NewStream(context.Background(), desc, name)
	if err != nil {
		return err
	}
	if !m.IsStreamingClient() {
		if err := s.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	return s.RecvMsg(&emptypb.Empty{})
}

func TestNobodyGetsInWithoutACertificateOfTheCluster(t *testing.T) {
	c, other := newCluster(t), newCluster(t)
	for name, creds := range map[string]credentials.TransportCredentials{
		"plain":           insecure.NewCredentials(),
		"another cluster": credentials.NewTLS(pki.ClientTLS(pki.NewCertificateSource(other.credential("alice", warrenv1.Role_ROLE_ADMIN)))),
	} {
		conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = warrenv1.NewClustersClient(conn).GetCluster(ctx, &warrenv1.GetClusterRequest{})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// serveSocket serves the API on a Unix socket with the given credentials.
func (c *cluster) serveSocket(creds credentials.TransportCredentials) warrenv1.ClustersClient {
	c.t.Helper()
	s := server.New(server.Config{Store: c.store, Log: logs(c.t), Version: "1.2.3"})
	g := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(s.UnaryInterceptor()), grpc.StreamInterceptor(s.StreamInterceptor()))
	s.Register(g)
	path := filepath.Join(c.t.TempDir(), "warren.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		c.t.Fatal(err)
	}
	c.background(func(context.Context) error { return g.Serve(l) })
	c.t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return warrenv1.NewClustersClient(conn)
}

func TestTheSocketKnowsItsPeer(t *testing.T) {
	c := newCluster(t)
	cluster, err := c.serveSocket(server.PeerCredentials()).GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if os.Getuid() != 0 {
		wantError(t, err, codes.PermissionDenied, "may not use the manager's socket")
		return
	}
	if err != nil || cluster.GetId() != clusterID {
		t.Errorf("root: %v, %v", cluster, err)
	}
}

func TestTheSocketIsForRoot(t *testing.T) {
	c := newCluster(t)
	_, err := c.serveSocket(asUser{server.PeerCredentials(), 1000}).GetCluster(ctx, &warrenv1.GetClusterRequest{})
	hint := wantError(t, err, codes.PermissionDenied, "user 1000 may not use the manager's socket")
	if !strings.Contains(hint, "sudo") {
		t.Errorf("hint %q", hint)
	}
	// A connection of no known kind has no identity, whatever it says.
	_, err = c.serveSocket(insecure.NewCredentials()).GetCluster(ctx, &warrenv1.GetClusterRequest{})
	wantError(t, err, codes.PermissionDenied, "no identity")
}

// asUser makes every peer that user.
type asUser struct {
	credentials.TransportCredentials
	uid uint32
}

func (a asUser) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := a.TransportCredentials.ServerHandshake(conn)
	if peer, ok := info.(server.SocketPeer); ok {
		peer.UID = a.uid
		info = peer
	}
	return conn, info, err
}

func TestPeerCredentialsAreForSocketsOnly(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if _, _, err := server.PeerCredentials().ServerHandshake(near); err == nil {
		t.Error("a pipe has a peer")
	}
}
