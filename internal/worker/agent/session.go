package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// heartbeatDefault is used when a manager names no period.
	heartbeatDefault = 5 * time.Second
	// welcomeLimit is how long a manager may take to answer a Hello.
	welcomeLimit = 15 * time.Second
	// reconnectMost bounds the wait between two sessions.
	reconnectMost = 10 * time.Second
)

// sessions keeps a session with a manager until ctx ends. It gives up only
// when a manager says that this node is no member any more: ErrRemoved.
func (a *Agent) sessions(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		welcomed, err := a.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if removed(err) {
			return fmt.Errorf("%w: %s", ErrRemoved, status.Convert(err).Message())
		}
		if welcomed {
			failures = 0
		}
		failures++
		wait := jitter(min(backoff(failures), reconnectMost))
		a.log.Warn("no session with a manager; containers go on", "error", err, "retry_in", wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// session speaks with one manager until one of both ends it.
func (a *Agent) session(ctx context.Context) (welcomed bool, err error) {
	conn, err := a.cfg.Dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := warrenv1.NewDispatcherClient(conn)
	stream, err := client.Session(ctx)
	if err != nil {
		return false, err
	}
	welcome, err := a.greet(stream, cancel)
	if err != nil {
		return false, explain(ctx, err)
	}
	a.learn(welcome.GetStanding())
	m := &manager{client: client, nodeID: welcome.GetNodeId(), clusterID: welcome.GetClusterId()}
	a.log.Info("session with a manager", "node", m.nodeID, "cluster", m.clusterID)
	a.begin(m)
	defer a.link.set(nil)

	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel(nil) // before the wait
	helpers.Go(func() { cancel(a.talk(ctx, stream, welcome.GetHeartbeatPeriod().AsDuration())) })
	return true, explain(ctx, a.listen(ctx, stream, m, &helpers))
}

func (a *Agent) learn(s *warrenv1.Standing) {
	if a.cfg.Learned != nil && len(s.GetManagers()) > 0 {
		a.cfg.Learned(s)
	}
}

type sessionStream = interface {
	Send(*warrenv1.WorkerMessage) error
	Recv() (*warrenv1.ManagerMessage, error)
}

// explain prefers the reason a session was ended for over the error which
// that caused elsewhere.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// greet says hello and waits for the manager's welcome.
func (a *Agent) greet(stream sessionStream, cancel context.CancelCauseFunc) (*warrenv1.Welcome, error) {
	late := time.AfterFunc(welcomeLimit, func() { cancel(errors.New("the manager did not answer the hello in time")) })
	defer late.Stop()
	hello := &warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Hello{Hello: &warrenv1.Hello{Node: a.describe(), Level: a.cfg.Level}}}
	if err := stream.Send(hello); err != nil {
		_, err := stream.Recv() // which knows why
		return nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if first.GetWelcome() == nil {
		return nil, fmt.Errorf("the manager began with %T instead of a welcome", first.GetMessage())
	}
	return first.GetWelcome(), nil
}

// begin takes the manager in: everything is reported to it again, since it may
// have been restored from a backup, and who waited for a manager goes on.
func (a *Agent) begin(m *manager) {
	a.link.set(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tasks {
		t.repeat()
	}
	for _, k := range a.volumes {
		k.repeat()
	}
	for _, s := range a.snapshots {
		s.repeat()
	}
	a.outbox.rewind()
	select {
	case <-a.ready:
	default:
		close(a.ready)
	}
}

// talk sends reports as there is news, and heartbeats.
func (a *Agent) talk(ctx context.Context, stream sessionStream, period time.Duration) error {
	if period <= 0 {
		period = heartbeatDefault
	}
	beat := time.NewTicker(period)
	defer beat.Stop()
	for {
		for r := a.outbox.next(); r != nil; r = a.outbox.next() {
			if err := stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Report{Report: r}}); err != nil {
				return nil // listen knows why
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.outbox.news:
		case <-beat.C:
			h := new(warrenv1.Heartbeat)
			if disk, err := a.disk(); err == nil {
				h.DiskFreeBytes = disk.free
			}
			if err := stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Heartbeat{Heartbeat: h}}); err != nil {
				return nil
			}
		}
	}
}

// listen does what the manager says until the stream ends.
func (a *Agent) listen(ctx context.Context, stream sessionStream, m *manager, helpers *sync.WaitGroup) error {
	var set assembly
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		switch {
		case message.GetAssignments() != nil:
			if change := set.add(message.GetAssignments()); change != nil {
				a.apply(change)
			}
		case message.GetAcknowledge() != nil:
			a.outbox.acknowledge(message.GetAcknowledge().GetSequence())
		case message.GetStanding() != nil:
			a.learn(message.GetStanding())
		case message.GetOpenStream() != nil:
			helpers.Go(func() { a.serve(ctx, m, message.GetOpenStream()) })
		}
	}
}
