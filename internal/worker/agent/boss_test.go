package agent

import (
	"context"
	"errors"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

// boss is a manager's side of the session, on a real gRPC server.
type boss struct {
	warrenv1.UnimplementedDispatcherServer
	server   *grpc.Server
	listener *bufconn.Listener

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	patience time.Duration // of those who wait
	away     bool          // refuses sessions
	mute     bool          // acknowledges nothing
	out      chan *warrenv1.ManagerMessage
	end      context.CancelFunc
	sessions int
	beats    int
	reports  []*warrenv1.Report
	tasks    map[string]*warrenv1.TaskStatus
	volumes  map[string]*warrenv1.VolumeStatus
	events   []*warrenv1.Event
	secrets  map[string][]byte
	versions map[string]uint64 // of secrets; 1 when absent
	registry *warrenv1.Registry
	streams  map[string]func(grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]) error
}

func newBoss(t testing.TB) *boss {
	b := &boss{
		server: grpc.NewServer(), listener: bufconn.Listen(1 << 20),
		changed: make(chan struct{}), patience: 10 * time.Minute,
		tasks: map[string]*warrenv1.TaskStatus{}, volumes: map[string]*warrenv1.VolumeStatus{},
		secrets: map[string][]byte{}, versions: map[string]uint64{},
		streams: map[string]func(grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]) error{},
	}
	warrenv1.RegisterDispatcherServer(b.server, b)
	go func() { _ = b.server.Serve(b.listener) }()
	t.Cleanup(b.server.Stop)
	return b
}

func (b *boss) dial(context.Context) (*grpc.ClientConn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, errors.New("nobody is there")
	}
	return grpc.NewClient("passthrough:///boss", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return b.listener.DialContext(ctx) }))
}

// change makes a change and lets those who wait see it.
func (b *boss) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// await waits until the condition holds; it is called with the lock held.
func (b *boss) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	limit := time.After(b.patience)
	for {
		b.mu.Lock()
		holds, changed := condition(), b.changed
		b.mu.Unlock()
		if holds {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("waited in vain for: %s; tasks %v, volumes %v", what, b.tasks, b.volumes)
		}
	}
}

func (b *boss) Session(stream grpc.BidiStreamingServer[warrenv1.WorkerMessage, warrenv1.ManagerMessage]) error {
	if first, err := stream.Recv(); err != nil || first.GetHello() == nil {
		return errors.New("no hello")
	}
	ctx, end := context.WithCancel(stream.Context())
	defer end()
	out := make(chan *warrenv1.ManagerMessage, 100)
	out <- &warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_Welcome{Welcome: &warrenv1.Welcome{
		NodeId: "node-1", ClusterId: "cluster-1", HeartbeatPeriod: durationpb.New(time.Second),
	}}}
	b.change(func() { b.out, b.end = out, end; b.sessions++ })
	go func() {
		defer end()
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			b.hear(m, out)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return errors.New("session ended")
		case m := <-out:
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

func (b *boss) hear(m *warrenv1.WorkerMessage, out chan<- *warrenv1.ManagerMessage) {
	b.change(func() {
		if m.GetHeartbeat() != nil {
			b.beats++
		}
		r := m.GetReport()
		if r == nil {
			return
		}
		b.reports = append(b.reports, r)
		for _, s := range r.GetTasks() {
			b.tasks[s.GetTaskId()] = s
		}
		for _, s := range r.GetVolumes() {
			b.volumes[s.GetVolumeId()] = s
		}
		b.events = append(b.events, r.GetEvents()...)
		if !b.mute {
			out <- &warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_Acknowledge{Acknowledge: &warrenv1.Acknowledge{Sequence: r.GetSequence()}}}
		}
	})
}

func (b *boss) reported() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.reports)
}

// send says something in the present session.
func (b *boss) send(t testing.TB, m *warrenv1.ManagerMessage) {
	t.Helper()
	b.await(t, "a session", func() bool { return b.out != nil })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out <- m
}

func (b *boss) assign(t testing.TB, a *warrenv1.Assignments) {
	t.Helper()
	b.send(t, &warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_Assignments{Assignments: a}})
}

// leave ends the present session and lets no other begin.
func (b *boss) leave() {
	b.change(func() {
		b.away = true
		if b.end != nil {
			b.end()
		}
		b.out = nil
	})
}

func (b *boss) comeBack() { b.change(func() { b.away = false }) }

func (b *boss) FetchSecrets(r *warrenv1.FetchSecretsRequest, stream grpc.ServerStreamingServer[warrenv1.FetchedSecret]) error {
	b.mu.Lock()
	secrets, versions := maps.Clone(b.secrets), maps.Clone(b.versions)
	b.mu.Unlock()
	for id, value := range secrets {
		version := max(versions[id], 1)
		item, err := sealedFor(r.GetSealingKey(), r.GetTaskId(), id, version, value)
		if err != nil {
			return err
		}
		if err := stream.Send(&warrenv1.FetchedSecret{SecretId: id, Version: version, Items: []*warrenv1.SealedItem{item}}); err != nil {
			return err
		}
	}
	return nil
}

func (b *boss) FetchRegistry(_ context.Context, r *warrenv1.FetchRegistryRequest) (*warrenv1.FetchRegistryResponse, error) {
	if b.registry == nil {
		return &warrenv1.FetchRegistryResponse{}, nil
	}
	item, err := sealedFor(r.GetSealingKey(), r.GetTaskId(), b.registry.GetSecretId(), 1, []byte("pull-me"))
	return &warrenv1.FetchRegistryResponse{Registry: b.registry, Password: item, PasswordVersion: 1}, err
}

func sealedFor(key []byte, taskID, secretID string, version uint64, value []byte) (*warrenv1.SealedItem, error) {
	p, err := seal.PlaintextFrom(append([]byte(nil), value...))
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	ct, err := seal.SealTo(key, seal.ToTaskInfo("cluster-1", "node-1", taskID, secretID, version, ""), p)
	return &warrenv1.SealedItem{Ciphertext: ct}, err
}

func (b *boss) Stream(stream grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	b.mu.Lock()
	talk := b.streams[first.GetStreamId()]
	b.mu.Unlock()
	return talk(stream)
}

// state waits for a task's state and returns its status.
func (b *boss) state(t testing.TB, taskID string, state warrenv1.TaskState) *warrenv1.TaskStatus {
	t.Helper()
	b.await(t, taskID+" to be "+state.String(), func() bool { return b.tasks[taskID].GetState() == state })
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tasks[taskID]
}
