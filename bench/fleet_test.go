//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/pki"
)

const (
	fleetWorkers  = 2000
	fleetTasks    = 10000 // of one service
	fleetIdleTime = 10 * time.Second
	// joinAtOnce is how many workers join at the same time.
	joinAtOnce = 16
)

// TestFleet has 2,000 workers that run nothing, but speak as real ones do, each
// with a certificate and a connection of its own, hold a session with one real
// manager; then a service of 10,000 tasks is created. Workers and manager share
// the machine.
func TestFleet(t *testing.T) {
	m := startManager(t)
	token, _, err := m.client.NewToken(t.Context(), &warrenv1.CreateTokenRequest{Role: warrenv1.Role_ROLE_WORKER})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &fleet{address: m.address, token: token, joined: make(chan struct{}, fleetWorkers)}
	defer f.work.Wait()
	defer cancel()

	before, _ := m.memory("status", "VmRSS:")
	took := seconds(func() { f.start(ctx, t) })
	result.measurement("2,000 workers joined and welcomed", "s", samples{took})
	worked := m.worked(t)
	rest := time.NewTimer(fleetIdleTime)
	<-rest.C
	busy := (m.worked(t) - worked) / fleetIdleTime.Seconds()
	result.measurement("processor of the manager with 2,000 idle workers", "% of a core", samples{100 * busy})
	if rss, err := m.memory("status", "VmRSS:"); err == nil {
		result.measurement("memory of the manager with 2,000 workers", "MB", samples{rss})
		result.note("memory of the manager before any worker: %.0f MB; heartbeats every %v", before, time.Duration(f.period.Load()))
	}

	began := time.Now()
	if _, err := m.client.Services.CreateService(t.Context(), &warrenv1.CreateServiceRequest{
		Name: "wide", Spec: &warrenv1.ServiceSpec{Replicas: fleetTasks, Container: &warrenv1.ContainerSpec{Image: "busybox"}},
	}); err != nil {
		t.Fatal(err)
	}
	m.until(t, "all workers have their assignments", func() error { return f.assigned(fleetTasks) })
	result.measurement("10,000 tasks created, until 2,000 workers have them", "s", samples{time.Since(began).Seconds()})
	m.until(t, "all tasks run", func() error {
		s, err := m.client.Services.GetService(t.Context(), &warrenv1.Ref{NameOrId: "wide"})
		if err == nil && s.GetRunning() < fleetTasks {
			err = fmt.Errorf("%d do", s.GetRunning())
		}
		return err
	})
	result.measurement("10,000 tasks created, until all are known to run", "s", samples{time.Since(began).Seconds()})
	n := &f.most
	result.note("the worker with most of the 10,000 tasks has %d of them; the manager's memory then: %.0f MB", n.Load(), memoryNow(m))
	if err := f.failed(); err != nil {
		t.Error(err)
	}
}

func memoryNow(n *node) float64 {
	rss, _ := n.memory("status", "VmRSS:")
	return rss
}

// startManager is a node that runs no containers.
func startManager(t *testing.T) *node {
	t.Helper()
	n := &node{binary: built(t, "bin/warren", "build"), dir: shortDir(t), address: freeAddress(t)}
	if err := os.Mkdir(n.home(), 0o700); err != nil {
		t.Fatal(err)
	}
	n.process = start(t, filepath.Join(n.dir, "log"), n.env(), n.binary, "cluster", "init", "--manager-only",
		"--data-dir", filepath.Join(n.dir, "lib"), "--run-dir", n.runDir(), "--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0")
	n.until(t, "it answers", func() error { return n.try("node", "list") })
	var err error
	if n.client, err = client.Dial(t.Context(), client.Options{Manager: n.address, Home: n.home()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.client.Close() })
	return n
}

// fleet are workers of which only the manager's side is real.
type fleet struct {
	address string
	token   pki.Token
	joined  chan struct{}
	work    sync.WaitGroup
	// tasks counts what all workers were assigned, most what one was.
	tasks, most, period atomic.Int64

	mu   sync.Mutex
	errs []error
}

// start has all workers join and waits until all are welcome.
func (f *fleet) start(ctx context.Context, t *testing.T) {
	t.Helper()
	gate := make(chan struct{}, joinAtOnce)
	for i := range fleetWorkers {
		f.work.Go(func() {
			gate <- struct{}{}
			err := f.worker(ctx, fmt.Sprintf("sim-%04d", i), func() { <-gate; f.joined <- struct{}{} })
			if err != nil && ctx.Err() == nil {
				f.mu.Lock()
				f.errs = append(f.errs, err)
				f.mu.Unlock()
			}
		})
	}
	limit := time.After(5 * patience)
	for i := range fleetWorkers {
		select {
		case <-f.joined:
		case <-limit:
			t.Fatalf("only %d workers joined: %v", i, f.failed())
		}
	}
}

func (f *fleet) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

func (f *fleet) assigned(want int64) error {
	if got := f.tasks.Load(); got < want {
		return fmt.Errorf("%d tasks are assigned", got)
	}
	return nil
}

// worker joins and holds a session until ctx ends.
func (f *fleet) worker(ctx context.Context, name string, welcome func()) error {
	key, err := pki.NewKey()
	if err != nil {
		return err
	}
	admission, err := client.Join(ctx, client.JoinOptions{Manager: f.address, Token: f.token, Key: key, Name: name, Role: warrenv1.Role_ROLE_WORKER})
	if err != nil {
		return err
	}
	credential, err := admission.Bundle.Parse()
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+f.address,
		grpc.WithTransportCredentials(credentials.NewTLS(pki.ClientTLS(pki.NewCertificateSource(credential)))))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := warrenv1.NewDispatcherClient(conn).Session(ctx)
	if err != nil {
		return err
	}
	hello := &warrenv1.Hello{Level: 1, Node: &warrenv1.NodeDescription{Hostname: name, Cpus: 8, MemoryBytes: 32 << 30}}
	if err := stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Hello{Hello: hello}}); err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	welcome()
	period := first.GetWelcome().GetHeartbeatPeriod().AsDuration()
	f.period.Store(int64(period))
	return f.session(ctx, stream, period)
}

type sessionStream = grpc.BidiStreamingClient[warrenv1.WorkerMessage, warrenv1.ManagerMessage]

// session sends heartbeats, and says of each task that it runs.
func (f *fleet) session(ctx context.Context, stream sessionStream, period time.Duration) error {
	assigned := make(chan *warrenv1.Assignments, 16)
	ended := make(chan error, 1)
	go func() {
		for {
			message, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			if a := message.GetAssignments(); len(a.GetTasks()) > 0 {
				assigned <- a
			}
		}
	}()
	beat := time.NewTicker(period)
	defer beat.Stop()
	var sequence uint64
	known := map[string]bool{}
	for {
		message := &warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Heartbeat{Heartbeat: &warrenv1.Heartbeat{}}}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		case a := <-assigned:
			sequence++
			report := &warrenv1.Report{Sequence: sequence}
			for _, task := range a.GetTasks() {
				if id := task.GetMeta().GetId(); !known[id] {
					known[id] = true
					f.tasks.Add(1)
					report.Tasks = append(report.Tasks, &warrenv1.TaskStatus{TaskId: id, State: warrenv1.TaskState_TASK_STATE_RUNNING})
				}
			}
			for most := f.most.Load(); int64(len(known)) > most && !f.most.CompareAndSwap(most, int64(len(known))); most = f.most.Load() {
			}
			message = &warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Report{Report: report}}
		}
		if err := stream.Send(message); err != nil {
			return err
		}
	}
}
