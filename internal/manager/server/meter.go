package server

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

type meter struct {
	warrenv1.UnimplementedMeterServer
	*Server
}

// WatchUsage asks every node that is ready what it and its tasks use, and
// passes on what each says: nothing is measured while nobody asks, and nothing
// of it is stored. A node that does not answer is told of, and holds up no
// other.
func (m *meter) WatchUsage(r *warrenv1.WatchUsageRequest, call grpc.ServerStreamingServer[warrenv1.NodeUsage]) error {
	if err := spec.UsageInterval(r); err != nil {
		return err
	}
	if r.GetNamespace() != "" {
		if err := spec.ValidNamespace(r.GetNamespace()); err != nil {
			return err
		}
	}
	nodes, err := m.readyNodes(call.Context())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(call.Context())
	defer cancel(nil)
	var one sync.Mutex
	send := func(u *warrenv1.NodeUsage) error {
		one.Lock()
		defer one.Unlock()
		return call.Send(u)
	}
	var readers sync.WaitGroup
	for _, node := range nodes {
		readers.Go(func() {
			if err := m.watchNode(ctx, node, r, send); err != nil {
				cancel(err)
			}
		})
	}
	readers.Wait()
	return context.Cause(ctx)
}

// watchNode passes on what one node measures. Its error is the caller's: the
// node's own is sent.
func (m *meter) watchNode(ctx context.Context, node target, r *warrenv1.WatchUsageRequest, send func(*warrenv1.NodeUsage) error) error {
	err := m.readUsage(ctx, node, r, send)
	var gone callerGone
	if errors.As(err, &gone) || ctx.Err() != nil {
		return err
	}
	if err == nil {
		return nil
	}
	m.log.Warn("a node did not say what it uses", "node", node.name, "error", err)
	return send(&warrenv1.NodeUsage{NodeId: node.id, Node: node.name, Time: timestamppb.New(m.config.Clock()), Error: err.Error()})
}

// callerGone is an error of the call itself.
type callerGone struct{ error }

func (m *meter) readUsage(ctx context.Context, node target, r *warrenv1.WatchUsageRequest, send func(*warrenv1.NodeUsage) error) error {
	if !r.GetFollow() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.GetInterval().AsDuration()+m.config.Patience)
		defer cancel()
	}
	worker, err := m.config.Streams.Open(ctx, node.id, &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Usage{
		Usage: &warrenv1.OpenUsage{Interval: r.GetInterval(), Follow: r.GetFollow()},
	}})
	if err != nil {
		return err
	}
	defer worker.Close()
	for {
		frame, err := worker.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case frame.GetUsage() == nil:
			continue
		}
		u := frame.GetUsage()
		u.NodeId, u.Node = node.id, node.name
		u.Tasks = ofNamespace(r.GetNamespace(), u.GetTasks())
		if err := send(u); err != nil {
			return callerGone{err}
		}
	}
}

func ofNamespace(namespace string, tasks []*warrenv1.TaskUsage) (out []*warrenv1.TaskUsage) {
	for _, t := range tasks {
		if namespace == "" || t.GetNamespace() == namespace {
			out = append(out, t)
		}
	}
	return out
}
