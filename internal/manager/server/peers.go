package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/cuemby/warren/internal/spec"
)

// Peers are the other managers.
type Peers interface {
	// IsLeader tells whether this manager leads.
	IsLeader() bool
	// LeaderAddress is that of the leader, empty while there is none.
	LeaderAddress() string
	// Leadership signals changes of who leads until stop is called.
	Leadership() (changes <-chan struct{}, stop func())
	// TransferLeadership has another manager lead, and returns once it does.
	TransferLeadership(ctx context.Context) error
	// To connects to the manager at an address.
	To(address string) (grpc.ClientConnInterface, error)
}

// StaleHeader asks the manager to answer from what it has, which may be behind.
const StaleHeader = "warren-stale"

// staleWillDo tells whether the caller of a unary method is content with what
// this manager has. What changes anything is never done that way.
func (s *Server) staleWillDo(ctx context.Context, method string) bool {
	return len(metadata.ValueFromIncomingContext(ctx, StaleHeader)) > 0 && !s.rules[method].GetMutating()
}

// elsewhere tells whether another manager has to answer.
func (s *Server) elsewhere(method string) bool {
	return s.config.Peers != nil && !s.rules[method].GetLocal() && !s.config.Peers.IsLeader()
}

// leaderPatience is how long a call waits for there to be a leader.
const leaderPatience = 5 * time.Second

// leader is another manager that leads, for as long as it does.
type leader struct {
	grpc.ClientConnInterface
	// ctx ends when somebody else leads.
	ctx    context.Context
	cancel func()
	stop   func()
}

// findLeader waits until there is a leader. here says that it is this manager.
// The caller must call stop on a leader that is elsewhere.
func (s *Server) findLeader(ctx context.Context) (_ *leader, here bool, err error) {
	changes, stop := s.config.Peers.Leadership()
	patience := time.NewTimer(leaderPatience)
	defer patience.Stop()
	for {
		if s.config.Peers.IsLeader() {
			stop()
			return nil, true, nil
		}
		if address := s.config.Peers.LeaderAddress(); address != "" {
			conn, err := s.config.Peers.To(address)
			if err != nil {
				stop()
				return nil, false, err
			}
			return s.follow(ctx, conn, address, changes, stop), false, nil
		}
		select {
		case <-changes:
		case <-patience.C:
			stop()
			return nil, false, noLeader("the cluster has no leader")
		case <-ctx.Done():
			stop()
			return nil, false, ctx.Err()
		}
	}
}

// follow ends the leader's context when leadership changes.
func (s *Server) follow(ctx context.Context, conn grpc.ClientConnInterface, address string, changes <-chan struct{}, unsubscribe func()) *leader {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		for s.config.Peers.LeaderAddress() == address {
			select {
			case <-changes:
			case <-ctx.Done():
				return
			}
		}
	}()
	return &leader{conn, ctx, cancel, func() {
		cancel()
		<-ended
		unsubscribe()
	}}
}

// noLeader is an answer that the caller's client takes as "ask again".
func noLeader(why string) *spec.Problem {
	return spec.Problemf(spec.Unavailable, "", "", "%s", why).
		WithHint("try again, or ask another manager; a majority of the managers must be running")
}
