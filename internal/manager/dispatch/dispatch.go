// Package dispatch is where workers meet the manager: the Dispatcher service.
// Workers always call; a manager never dials a worker.
//
// Each worker holds one session. Down it goes the worker's assignments, its own
// tasks and volumes and nothing else: the full set once, then what changes.
// Up it come heartbeats, which stay in memory, and reports, which are committed
// many at a time and acknowledged once they are committed. What a task needs in
// secrets is fetched by its node, and by no other.
//
// Everything here belongs to one term of leadership: Run makes it, and when Run
// returns, every session and stream has been ended and nothing is remembered.
// Workers then look for the next leader and say again what was not
// acknowledged.
//
// The package is the writer of NodeStatus, of VolumeStatus, and of TaskStatus
// once a task is placed.
package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// DefaultHeartbeatPeriod is how often a worker says that it lives, in a cluster
// of up to fewNodes; in larger ones less often, so that the leader hears about
// as many in a second. A node is down when nothing was heard for missedBeats of
// them.
const (
	DefaultHeartbeatPeriod = 2 * time.Second
	fewNodes               = 1000
	longestPeriod          = 10 * time.Second
	missedBeats            = 3
)

// errNotLeading ends what needs the leader; workers try another manager.
var errNotLeading = status.Error(codes.Unavailable, "this manager does not lead the cluster; ask another")

// Config is what a Dispatcher is made of. All but HeartbeatPeriod is required.
type Config struct {
	Store *store.Store
	Vault Vault
	// Identify returns the node ID in the certificate of a call's peer.
	Identify  func(ctx context.Context) (nodeID string, err error)
	ClusterID string
	// Level is of what this manager understands (version.Level). Workers of
	// that one and of the one before are served.
	Level uint32
	// HeartbeatPeriod is that of a small cluster; DefaultHeartbeatPeriod when
	// zero.
	HeartbeatPeriod time.Duration
	Log             *slog.Logger
}

// Dispatcher serves the workers' side of the API while its manager leads.
type Dispatcher struct {
	warrenv1.UnimplementedDispatcherServer
	Config

	mu   sync.Mutex
	term *term // nil while not leading
}

// New returns a dispatcher that answers Unavailable until Run is called.
func New(c Config) *Dispatcher {
	if c.HeartbeatPeriod == 0 {
		c.HeartbeatPeriod = DefaultHeartbeatPeriod
	}
	return &Dispatcher{Config: c}
}

// Run serves workers until ctx is done, which is when the manager stops
// leading. It must not run twice at once.
func (d *Dispatcher) Run(ctx context.Context) error {
	t, err := newTerm(ctx, d)
	if err != nil {
		return err
	}
	d.setTerm(t)
	defer d.setTerm(nil)
	if err := t.run(); ctx.Err() == nil {
		return err
	}
	return nil
}

func (d *Dispatcher) setTerm(t *term) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.term = t
}

func (d *Dispatcher) leading() (*term, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.term == nil {
		return nil, errNotLeading
	}
	return d.term, nil
}

// identify returns the calling node, or an error that tells the caller nothing.
func (d *Dispatcher) identify(ctx context.Context) (string, error) {
	nodeID, err := d.Identify(ctx)
	if err != nil {
		d.Log.Warn("refused a worker", "error", err)
		return "", status.Error(codes.PermissionDenied, "the certificate names no worker of this cluster")
	}
	return nodeID, nil
}

// term is everything that lives while one leadership lasts.
type term struct {
	*Dispatcher
	ctx    context.Context
	cancel context.CancelCauseFunc
	// work counts the goroutines of Run.
	work sync.WaitGroup

	calls    calls
	index    *index
	reports  chan report
	heard    hearing
	recorder recorder

	mu       sync.Mutex
	sessions map[string]*session // by node ID
	// slowest is the longest period that a worker was told in this term.
	slowest time.Duration
	// arrived is closed, and replaced, when a session begins.
	arrived chan struct{}
}

func newTerm(parent context.Context, d *Dispatcher) (*term, error) {
	ctx, cancel := context.WithCancelCause(parent)
	t := &term{
		Dispatcher: d, ctx: ctx, cancel: cancel,
		reports:  make(chan report, maxBatch),
		sessions: map[string]*session{},
		slowest:  d.HeartbeatPeriod,
		arrived:  make(chan struct{}),
	}
	t.heard.last = map[string]time.Time{}
	t.index = newIndex(t)
	err := t.index.load(ctx)
	if err == nil {
		err = t.expectReady(ctx)
	}
	if err != nil {
		t.index.close()
		cancel(nil)
		return nil, err
	}
	return t, nil
}

// run works until the term's context ends or one of its parts fails, and
// returns why.
func (t *term) run() error {
	for _, part := range []func(context.Context) error{t.index.run, t.commitReports, t.keepWatch, t.tellStandings} {
		t.work.Go(func() {
			if err := part(t.ctx); err != nil {
				t.cancel(err)
			}
		})
	}
	<-t.ctx.Done()
	t.work.Wait()
	t.index.close()
	return context.Cause(t.ctx)
}
