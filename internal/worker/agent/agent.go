package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/network"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/secretfs"
	"github.com/cuemby/warren/internal/worker/volume"
)

// Dialer opens a connection to a manager, authenticated both ways. The agent
// closes it at the session's end. It should have keepalive set, since that is
// how a manager that vanished without a word is noticed.
type Dialer func(ctx context.Context) (*grpc.ClientConn, error)

// Secrets is the memory that secrets lie in while their task runs; package
// secretfs implements it, and says what its methods promise.
type Secrets interface {
	Mount(taskID string, capacity uint64) (dir string, err error)
	Write(taskID string, file secretfs.File, values ...secretfs.Value) error
	Remove(taskID, target string) error
	Wipe(taskID string) error
}

// Config is what an agent is made of.
type Config struct {
	// DataDir holds worker/ and logs/, which are made when absent.
	DataDir string
	// Disk measures, in bytes, the filesystem that holds the volumes; that of
	// DataDir when nil. Free is what users other than root get.
	Disk func() (total, free uint64, err error)
	// Hostname, Address and Version are told to the manager.
	Hostname, Address, Version string
	// Level is of what this worker says and understands (version.Level).
	Level uint32
	// BootID names the time since the machine booted; the kernel's when empty.
	BootID string

	Dial Dialer
	// Learned is told what the cluster says of this node, in each session and
	// whenever it changes; may be nil. It must return soon.
	Learned func(*warrenv1.Standing)
	Runtime runtime.Runtime
	Volumes *volume.Manager
	Network network.Network
	// OpenSecrets is called once, with the tasks whose secrets are to be kept:
	// a container that runs, or is restarted in place, needs them.
	OpenSecrets func(live []string) (Secrets, error)
	Log         *slog.Logger
}

// Agent is the worker of one node. Its methods may be called from any
// goroutine.
type Agent struct {
	cfg     Config
	log     *slog.Logger
	state   *state
	secrets Secrets
	outbox  *outbox
	link    link
	images  images
	holders holders
	meter   *volume.Meter
	ready   chan struct{}
	// running counts the goroutines that Run waits for.
	running sync.WaitGroup
	// announcing keeps one announcement behind the other.
	announcing sync.Mutex

	mu        sync.Mutex
	ctx       context.Context // of Run; tasks and volumes end with it
	tasks     map[string]*task
	volumes   map[string]*keeper
	snapshots map[string]*snapper
	rebooted  bool
}

// New returns an agent that works once Run is called.
func New(cfg Config) (*Agent, error) {
	if cfg.DataDir == "" || cfg.Dial == nil || cfg.Runtime == nil || cfg.Volumes == nil || cfg.Network == nil || cfg.OpenSecrets == nil {
		return nil, errors.New("agent: the data directory, dialer, runtime, volumes, network and secrets must be set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Disk == nil {
		cfg.Disk = func() (total, free uint64, err error) { return measure(cfg.DataDir) }
	}
	if cfg.BootID == "" {
		id, err := bootID()
		if err != nil {
			return nil, err
		}
		cfg.BootID = id
	}
	a := &Agent{
		cfg:       cfg,
		log:       cfg.Log,
		outbox:    newOutbox(),
		ready:     make(chan struct{}),
		tasks:     map[string]*task{},
		volumes:   map[string]*keeper{},
		snapshots: map[string]*snapper{},
	}
	a.meter = volume.NewMeter(cfg.Volumes, a.measurable, a.measured, cfg.Log)
	return a, nil
}

// Ready is closed once local tasks are taken up again and a manager has
// welcomed this node.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Run works until ctx ends, and leaves the containers running. It returns an
// error when it cannot begin; and ErrRemoved when this node is no member of
// its cluster any more, once its containers have stopped.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	a.state, a.rebooted, err = openState(filepath.Join(a.cfg.DataDir, "worker"), a.cfg.BootID, a.log)
	if err != nil {
		return err
	}
	defer func() {
		if err := a.state.close(); err != nil {
			a.log.Error("the worker's state was not closed", "error", err)
		}
	}()
	if err := a.restore(ctx); err != nil {
		return fmt.Errorf("take up the tasks of before: %w", err)
	}
	a.announce()
	a.running.Go(func() { _ = a.meter.Run(ctx) })
	a.running.Go(func() { a.collect(ctx) })
	a.running.Go(func() { a.watchDisk(ctx) })
	removed := a.sessions(ctx)
	if removed != nil {
		a.empty(ctx)
		cancel()
	}
	a.running.Wait()
	return removed
}

// restore begins with what was assigned before this program was started.
func (a *Agent) restore(ctx context.Context) error {
	tasks, volumes, err := a.state.assigned()
	if err != nil {
		return err
	}
	var live []string
	for _, t := range tasks {
		live = append(live, t.GetMeta().GetId())
	}
	if err := a.cfg.Network.Restore(ctx, live); err != nil {
		return err
	}
	if err := a.cfg.Runtime.Thaw(ctx, live); err != nil {
		a.log.Error("containers that were frozen for a snapshot may still be", "error", err)
	}
	if a.rebooted {
		live = nil // what there may be is of before
	}
	if a.secrets, err = a.cfg.OpenSecrets(live); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx = ctx
	a.assign(tasks, volumes)
	return nil
}

// event tells the manager that something happened to an object.
func (a *Agent) event(kind string, meta *warrenv1.Meta, reason, message string) {
	a.log.Info(message, kind, meta.GetName(), "id", meta.GetId(), "reason", reason)
	a.outbox.event(&warrenv1.Event{
		Time: timestamppb.New(time.Now()), Kind: kind, Reason: reason, Message: message,
		Namespace: meta.GetNamespace(), Name: meta.GetName(), Id: meta.GetId(),
	})
}
