// Package client is how programs speak to a Warren manager: it finds one,
// proves who is calling, repeats calls that nobody answered without doing
// anything twice, and turns what comes back into errors that say what to do.
//
// A Client has the API's own gRPC clients as fields; nothing wraps them, so
// whatever a manager can do, a client can ask for.
package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/pki"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const (
	defaultPatience = 5 * time.Second
	connectTimeout  = 5 * time.Second
	// maxAnswer bounds one answer; a list of 100,000 tasks fits.
	maxAnswer = 256 << 20
)

// Options say which manager to speak to, and as whom.
type Options struct {
	// Manager is host:port or unix:///path, or several of one cluster's with
	// commas between them. When empty, this machine's socket is tried, then
	// 127.0.0.1:8080.
	Manager string
	// Home is the directory whose .warren has the caller's certificates; the
	// caller's own when empty. It is not read for a Unix socket.
	Home string
	// As is the certificate of a node that speaks for itself, instead of one of
	// a person's in Home.
	As *pki.CertificateSource
	// Patience is for how long a call is repeated while the manager, once
	// reached, does not answer; 5 s when zero.
	Patience time.Duration
	// Stale is for reading when no majority of the managers runs: the manager
	// answers from what it has, which may be behind.
	Stale bool
	// Namespace is meant by requests that say none; the default one when empty.
	Namespace string
}

// Client speaks to one manager at a time. It is safe for concurrent use.
type Client struct {
	Audits    warrenv1.AuditsClient
	Clusters  warrenv1.ClustersClient
	Images    warrenv1.ImagesClient
	Meter     warrenv1.MeterClient
	Joining   warrenv1.JoiningClient
	Keys      warrenv1.KeysClient
	Nodes     warrenv1.NodesClient
	Spaces    warrenv1.NamespacesClient
	Secrets   warrenv1.SecretsClient
	Services  warrenv1.ServicesClient
	Snapshots warrenv1.SnapshotsClient
	Tasks     warrenv1.TasksClient
	Volumes   warrenv1.VolumesClient

	conn connection
	at   func() address
}

// connection is one manager's, or that of several.
type connection interface {
	grpc.ClientConnInterface
	Close() error
}

// Dial connects to a manager and returns once it has answered. The errors are
// *Error: Invalid for an address that is none, Denied when the manager wants
// another certificate, else Unreachable, naming everything that was tried.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if strings.Contains(o.Manager, ",") {
		return dialSeveral(ctx, o)
	}
	tries, err := candidates(o.Manager)
	if err != nil {
		return nil, err
	}
	var failures []failure
	for _, a := range tries {
		conn, err := connect(ctx, a, o)
		if err == nil {
			return newClient(conn, func() address { return a }), nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failures = append(failures, failure{a, err})
	}
	return nil, notReached(failures)
}

func newClient(conn connection, at func() address) *Client {
	return &Client{
		Audits:    warrenv1.NewAuditsClient(conn),
		Clusters:  warrenv1.NewClustersClient(conn),
		Images:    warrenv1.NewImagesClient(conn),
		Meter:     warrenv1.NewMeterClient(conn),
		Joining:   warrenv1.NewJoiningClient(conn),
		Keys:      warrenv1.NewKeysClient(conn),
		Nodes:     warrenv1.NewNodesClient(conn),
		Spaces:    warrenv1.NewNamespacesClient(conn),
		Secrets:   warrenv1.NewSecretsClient(conn),
		Services:  warrenv1.NewServicesClient(conn),
		Snapshots: warrenv1.NewSnapshotsClient(conn),
		Tasks:     warrenv1.NewTasksClient(conn),
		Volumes:   warrenv1.NewVolumesClient(conn),
		conn:      conn,
		at:        at,
	}
}

// Address is the manager's, as one would type it after --manager.
func (c *Client) Address() string { return c.at().String() }

// Close ends the connection and whatever still runs on it.
func (c *Client) Close() error { return c.conn.Close() }

// connect returns a connection on which the manager has spoken.
func connect(ctx context.Context, a address, o Options) (*grpc.ClientConn, error) {
	creds, err := transport(a, o)
	if err != nil {
		return nil, err
	}
	return connectWith(ctx, a, creds, o)
}

// connectWith is connect with credentials that prove, or check, something else.
func connectWith(ctx context.Context, a address, creds credentials.TransportCredentials, o Options) (*grpc.ClientConn, error) {
	w := &witness{TransportCredentials: creds}
	p := patience(o.Patience)
	if p == 0 {
		p = patience(defaultPatience)
	}
	conn, err := grpc.NewClient("passthrough:///"+a.target,
		grpc.WithTransportCredentials(w),
		grpc.WithContextDialer(w.dialer(a)),
		grpc.WithChainUnaryInterceptor(append(o.interceptors(), p.unary)...),
		grpc.WithChainStreamInterceptor(o.namespaceStream, stream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: connectTimeout,
		}))
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, conn); err != nil {
		conn.Close()
		if seen := w.reason(); seen != nil {
			err = seen
		}
		return nil, err
	}
	return conn, nil
}

// interceptors are what the options ask for on every unary call.
func (o Options) interceptors() []grpc.UnaryClientInterceptor {
	if !o.Stale {
		return []grpc.UnaryClientInterceptor{o.namespaceUnary}
	}
	return []grpc.UnaryClientInterceptor{o.namespaceUnary, func(ctx context.Context, method string, req, reply any,
		cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(metadata.AppendToOutgoingContext(ctx, staleKey, "true"), method, req, reply, cc, opts...)
	}}
}

// ready waits for the first verdict on the connection.
func ready(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn.Connect()
	for {
		switch s := conn.GetState(); s {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return errors.New("it does not speak Warren's protocol")
		default:
			if !conn.WaitForStateChange(ctx, s) {
				return fmt.Errorf("no answer within %s", connectTimeout)
			}
		}
	}
}

// transport proves who is calling: the kernel tells a Unix socket's other end;
// everywhere else it takes a certificate.
func transport(a address, o Options) (credentials.TransportCredentials, error) {
	if a.network == "unix" {
		return insecure.NewCredentials(), nil
	}
	if o.As != nil {
		return credentials.NewTLS(pki.ClientTLS(o.As)), nil
	}
	return certificate(a, o.Home)
}

// failure is why one address did not do.
type failure struct {
	at  address
	err error
}

// notReached names every address that was tried. The last one decides the
// code: the addresses before it are short cuts to the same manager.
func notReached(failures []failure) error {
	e := &Error{
		Code: Unreachable,
		Hint: "start one with `sudo warren cluster init` (the first time) or `sudo warren manager start`, or name another with --manager host:port",
	}
	var told []string
	for _, f := range failures {
		told = append(told, fmt.Sprintf("%s (%s)", f.at, cause(f.err)))
		e.cause = f.err
	}
	e.Message = "no manager at " + strings.Join(told, " nor at ")
	if hint, denied := denial(e.cause); denied {
		e.Code, e.Hint = Denied, hint
	}
	return e
}
