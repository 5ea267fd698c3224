package server

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// Caller is who makes a call: read from the connection, never from a request.
type Caller struct {
	// ID of the node or the client; empty for root and for whoever joins.
	ID string
	// What people call it.
	Name  string
	Roles []warrenv1.Role

	// through is the manager that took the call and handed it on; empty when
	// the caller speaks for itself.
	through string
}

// String prints the caller for people: admin alice.
func (c Caller) String() string {
	if len(c.Roles) == 0 {
		return c.Name
	}
	words := make([]string, 0, len(c.Roles)+1)
	for _, role := range c.Roles {
		words = append(words, strings.ToLower(strings.TrimPrefix(role.String(), "ROLE_")))
	}
	return strings.Join(append(words, c.Name), " ")
}

type callerKey struct{}

// CallerOf returns who makes the call whose context this is; the interceptors
// put it there.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// callerName names the caller in what is told to people.
func callerName(ctx context.Context) string {
	if c, ok := CallerOf(ctx); ok {
		return c.Name
	}
	return "somebody"
}

// identify finds out who calls: the peer, or whom a manager speaks for.
func (s *Server) identify(ctx context.Context) (Caller, error) {
	near, err := s.peer(ctx)
	if err != nil {
		return Caller{}, err
	}
	caller, err := spokenFor(ctx, near)
	if err != nil && s.wasManager(ctx, near.ID) {
		// It has just been let go, and does not know it yet: its callers' next
		// try is for another.
		return Caller{}, noLeader(near.Name + " is no manager any more")
	}
	return caller, err
}

// peer reads the caller from the peer's certificate, or on the Unix socket from
// what the kernel says of the peer's process.
func (s *Server) peer(ctx context.Context) (Caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{}, denied("the connection has no peer")
	}
	switch info := p.AuthInfo.(type) {
	case credentials.TLSInfo:
		if len(info.State.PeerCertificates) == 0 {
			return Caller{Name: "somebody without a certificate"}, nil
		}
		identity, err := pki.PeerIdentity(info.State)
		if err != nil {
			return Caller{}, denied("the certificate names nobody: %v", err)
		}
		return s.Member(ctx, identity)
	case SocketPeer:
		if info.UID != 0 {
			return Caller{}, denied("user %d may not use the manager's socket", info.UID).
				WithHint("use sudo, or --manager HOST:PORT with a certificate in ~/.warren")
		}
		return Caller{Name: "root", Roles: []warrenv1.Role{warrenv1.Role_ROLE_ADMIN}}, nil
	}
	return Caller{}, denied("the connection carries no identity").
		WithHint("connect with TLS and a certificate of this cluster")
}

func denied(format string, args ...any) *spec.Problem {
	return spec.Problemf(spec.Denied, "", "", "%s", fmt.Sprintf(format, args...))
}
