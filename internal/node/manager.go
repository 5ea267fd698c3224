package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/control/member"
	"github.com/cuemby/warren/internal/manager/control/place"
	"github.com/cuemby/warren/internal/manager/control/reap"
	"github.com/cuemby/warren/internal/manager/control/rotate"
	"github.com/cuemby/warren/internal/manager/control/secret"
	"github.com/cuemby/warren/internal/manager/control/service"
	"github.com/cuemby/warren/internal/manager/control/snapshot"
	"github.com/cuemby/warren/internal/manager/control/volume"
	"github.com/cuemby/warren/internal/manager/dispatch"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/peer"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/version"
)

// Connections that say nothing for idlePing are asked whether they live, so
// that a peer that vanished without a word is noticed.
const (
	idlePing    = 10 * time.Second
	pingTimeout = 5 * time.Second
	// How long open calls may go on when the node stops.
	farewell = 2 * time.Second
)

// manager is the manager role of a running node.
type manager struct {
	*prepared
	state      *state
	keeper     *keeper.Keeper
	vault      *vault.Vault
	server     *server.Server
	dispatcher *dispatch.Dispatcher
}

func newManager(p *prepared, s *state, k *keeper.Keeper, links *peer.Links) *manager {
	m := &manager{prepared: p, state: s, keeper: k, vault: k.Vault}
	s.store.SetWitness(m.vault)
	m.dispatcher = dispatch.New(dispatch.Config{
		Store: s.store, Vault: m.vault, ClusterID: p.settings.ClusterID, Level: version.Level,
		Identify: callingWorker, Log: p.log.With("room", "dispatch"),
	})
	m.server = server.New(server.Config{
		Store: s.store, Vault: m.vault, Keeper: k, Copy: s.consensus.Copy, Streams: streams(m.dispatcher),
		Clock: time.Now, Rand: random, Log: p.log.With("room", "server"), Version: version.Version,
		Leader: s.consensus.Leader, Peers: peers{s.consensus, links},
	})
	return m
}

// peers is what the API needs to know of the other managers.
type peers struct {
	*consensus.Consensus
	*peer.Links
}

// callingWorker is the node in the caller's certificate, which the server's
// interceptors have verified.
func callingWorker(ctx context.Context) (string, error) {
	caller, ok := server.CallerOf(ctx)
	if !ok {
		return "", errors.New("the call has no verified caller")
	}
	return caller.ID, nil
}

func streams(d *dispatch.Dispatcher) server.Streams {
	return server.StreamsFunc(func(ctx context.Context, nodeID string, open *warrenv1.OpenStream) (server.Stream, error) {
		s, err := d.Open(ctx, nodeID, open)
		if err != nil {
			return nil, err
		}
		return s, nil
	})
}

// run serves the API and leads when it is this manager's turn, until ctx ends.
func (m *manager) run(ctx context.Context, ready *readiness) error {
	tcp := m.grpcServer(peer.Credentials())
	unix := m.grpcServer(server.PeerCredentials())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveGRPC(ctx, tcp, m.port.API()) })
	g.Go(func() error { return serveGRPC(ctx, unix, m.unix) })
	g.Go(func() error { return m.keeper.Run(ctx) })
	g.Go(func() error { return m.certify(ctx) })
	g.Go(func() error { return m.handOnWhileSealed(ctx) })
	g.Go(func() error { return m.renewOwn(ctx, m.vault) })
	g.Go(func() error { return m.server.Run(ctx) })
	g.Go(func() error { return m.untilRetired(ctx) })
	g.Go(func() error { return m.server.GuardRaft(ctx, func() { m.port.Watch(m.mayRaft(ctx)) }) })
	g.Go(func() error { return m.state.consensus.WhileLeading(ctx, m.lead) })
	sealed := m.vault.Sealed
	ready.sealed.Store(&sealed)
	ready.manager.Store(true)
	return g.Wait()
}

// mayRaft refuses former managers.
func (m *manager) mayRaft(ctx context.Context) peer.Guard {
	return func(id pki.Identity, issued time.Time) error { return m.server.MaySpeakRaft(ctx, id, issued) }
}

// lead runs what only the leader does, for one term of leadership; with closed
// keys it can do nothing.
func (m *manager) lead(ctx context.Context) error {
	select {
	case <-m.vault.Opened():
	case <-ctx.Done():
		return nil
	}
	if err := m.keeper.Sync(ctx); err != nil {
		m.log.Error("this manager leads with earlier keys than the cluster's", "error", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"dispatch", m.dispatcher.Run},
		{"service", service.New(m.state.store, m.log.With("room", "control/service")).Run},
		{"place", place.New(m.state.store, m.log.With("room", "control/place")).Run},
		{"volume", volume.New(m.state.store, m.log.With("room", "control/volume")).Run},
		{"secret", secret.New(m.state.store, m.log.With("room", "control/secret")).Run},
		{"snapshot", snapshot.New(snapshot.Config{
			Store: m.state.store, Clock: time.Now, Rand: random, Log: m.log.With("room", "control/snapshot"),
		}).Run},
		{"member", member.New(m.state.store, m.state.consensus, m.log.With("room", "control/member")).Run},
		{"rotate", rotate.New(m.state.store, m.vault, m.keeper, m.log.With("room", "control/rotate")).Run},
		{"reap", reap.New(m.state.store, m.log.With("room", "control/reap")).Run},
	} {
		g.Go(func() error {
			if err := r.run(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (m *manager) grpcServer(c credentials.TransportCredentials) *grpc.Server {
	s := grpc.NewServer(grpc.Creds(c),
		grpc.ChainUnaryInterceptor(m.server.UnaryInterceptor()),
		grpc.ChainStreamInterceptor(m.server.StreamInterceptor()),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: idlePing, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: idlePing / 2, PermitWithoutStream: true}),
	)
	m.server.Register(s)
	warrenv1.RegisterDispatcherServer(s, m.dispatcher)
	return s
}

// serveGRPC serves until ctx ends, then lets open calls finish for a moment.
func serveGRPC(ctx context.Context, s *grpc.Server, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	hurry := time.AfterFunc(farewell, s.Stop)
	defer hurry.Stop()
	s.GracefulStop()
	return <-served
}
