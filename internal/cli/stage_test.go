package cli_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// stage is a manager with a fixed play: what the guide's examples show. It is
// here so that the scripts see exact sizes and ages; that the real manager
// answers as it does is shown where both are together.
type stage struct {
	warrenv1.UnimplementedAuditsServer
	warrenv1.UnimplementedClustersServer
	warrenv1.UnimplementedImagesServer
	warrenv1.UnimplementedMeterServer
	warrenv1.UnimplementedNodesServer
	warrenv1.UnimplementedSecretsServer
	warrenv1.UnimplementedServicesServer
	warrenv1.UnimplementedTasksServer
	warrenv1.UnimplementedVolumesServer

	key  *seal.EnvelopeKey
	keys *stageKeys

	mu       sync.Mutex
	volumes  []*warrenv1.Volume
	trash    []*warrenv1.Volume
	secrets  []*warrenv1.Secret
	services []*warrenv1.Service
	values   map[string]string // by secret and item
}

type stageKey struct{}

const clusterID = "c1"

// moment is the guide's: 2025-10-08 10:00:00.
var moment = timestamppb.New(time.Date(2025, 10, 8, 10, 0, 0, 0, time.UTC))

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(-d)) }

// startStage serves a new stage on a socket until the script ends.
func startStage(env *testscript.Env) (socket string) {
	t := env.T().(interface {
		testscript.T
	})
	dir, err := os.MkdirTemp("", "warren") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	st := newStage(t)
	env.Values[stageKey{}] = st
	server := grpc.NewServer()
	st.register(server)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	env.Defer(func() {
		server.Stop()
		<-served
		os.RemoveAll(dir)
	})
	return socket
}

func newStage(t testscript.T) *stage {
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := newStageKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	return &stage{
		keys:     keys,
		key:      key,
		values:   map[string]string{},
		volumes:  someVolumes(),
		secrets:  someSecrets(),
		services: someServices(),
	}
}

func (st *stage) register(r grpc.ServiceRegistrar) {
	warrenv1.RegisterAuditsServer(r, st)
	warrenv1.RegisterClustersServer(r, st)
	warrenv1.RegisterImagesServer(r, st)
	warrenv1.RegisterKeysServer(r, st.keys)
	warrenv1.RegisterMeterServer(r, st)
	warrenv1.RegisterNodesServer(r, st)
	warrenv1.RegisterSecretsServer(r, st)
	warrenv1.RegisterServicesServer(r, st)
	warrenv1.RegisterTasksServer(r, st)
	warrenv1.RegisterVolumesServer(r, st)
}

// refuse is an error as a manager sends it.
func refuse(code codes.Code, kind, name, message, hint string) error {
	st, err := status.New(code, message).WithDetails(&warrenv1.ErrorDetail{Kind: kind, Name: name, Hint: hint})
	if err != nil {
		return err
	}
	return st.Err()
}

func missing(kind, name string) error {
	return refuse(codes.NotFound, kind, name, kind+" \""+name+"\" does not exist", "warren "+kind+" list")
}

func named(m *warrenv1.Meta, ref string) bool { return m.GetName() == ref || m.GetId() == ref }

func meta(id, name string, created *timestamppb.Timestamp, labels map[string]string) *warrenv1.Meta {
	return &warrenv1.Meta{Id: id, Name: name, Namespace: spec.DefaultNamespace, Labels: labels, CreatedAt: created}
}
