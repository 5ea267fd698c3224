package dispatch

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// opening is an Open under way.
type opening struct {
	stream *Stream
	err    error
}

func (h *house) open(ctx context.Context, node string) <-chan opening {
	done := make(chan opening, 1)
	go func() {
		s, err := h.Open(ctx, node, &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Logs{Logs: &warrenv1.OpenLogs{TaskId: "a"}}})
		done <- opening{s, err}
	}()
	return done
}

func frame(chunk string) *warrenv1.ManagerFrame {
	return &warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Chunk{Chunk: []byte(chunk)}}
}

func answer(id string) *warrenv1.WorkerFrame {
	return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_StreamId{StreamId: id}}
}

func TestAStreamIsServedByTheNodeThatWasAsked(t *testing.T) {
	h := newHouse(t).lead()
	w := h.connect("n1")
	h.connect("n2")
	opened := h.open(h.ctx, "n1")
	asked := w.next().GetOpenStream()
	if asked.GetLogs().GetTaskId() != "a" || asked.GetId() == "" {
		t.Fatalf("asked for %v", asked)
	}
	for _, wrong := range []struct{ node, id string }{{"n2", asked.GetId()}, {"n1", "guess"}} {
		s, err := h.client().Stream(h.as(wrong.node))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(answer(wrong.id)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); status.Code(err) != codes.NotFound {
			t.Errorf("%s answered %q: %v", wrong.node, wrong.id, err)
		}
	}
	worker, err := h.client().Stream(h.as("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Send(answer(asked.GetId())); err != nil {
		t.Fatal(err)
	}
	o := <-opened
	if o.err != nil {
		t.Fatal(o.err)
	}
	if err := o.stream.Send(frame("ping")); err != nil {
		t.Fatal(err)
	}
	if f, err := worker.Recv(); err != nil || string(f.GetChunk()) != "ping" {
		t.Errorf("the worker heard %v, %v", f, err)
	}
	line := &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Log{Log: &warrenv1.LogEntry{Line: []byte("pong")}}}
	failed := &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Error{Error: &warrenv1.StreamError{Code: int32(codes.NotFound), Message: "no such log"}}}
	for _, f := range []*warrenv1.WorkerFrame{line, failed} {
		if err := worker.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := worker.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if f, err := o.stream.Recv(); err != nil || string(f.GetLog().GetLine()) != "pong" {
		t.Errorf("the manager heard %v, %v", f, err)
	}
	if _, err := o.stream.Recv(); status.Code(err) != codes.NotFound || status.Convert(err).Message() != "no such log" {
		t.Errorf("the worker's failure came as %v", err)
	}
	if _, err := o.stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	o.stream.Close()
	o.stream.Close()
	if _, err := worker.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after Close the worker hears %v", err)
	}
}

func TestOpenEndsWhenNobodyWillAnswer(t *testing.T) {
	h := newHouse(t)
	if o := <-h.open(h.ctx, "n1"); status.Code(o.err) != codes.Unavailable {
		t.Errorf("without a leader: %v", o.err)
	}
	h.lead()
	var problem *spec.Problem
	if o := <-h.open(h.ctx, "n1"); !errors.As(o.err, &problem) || problem.Code != spec.Unavailable {
		t.Errorf("not connected: %v", o.err)
	}
	w := h.connect("n1")
	opened := h.open(h.ctx, "n1")
	w.next()
	if err := w.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if o := <-opened; !errors.As(o.err, &problem) {
		t.Errorf("the session ended: %v", o.err)
	}
	w = h.connect("n1")
	ctx, cancel := context.WithCancel(h.ctx)
	opened = h.open(ctx, "n1")
	asked := w.next().GetOpenStream()
	cancel()
	if o := <-opened; !errors.Is(o.err, context.Canceled) {
		t.Errorf("given up: %v", o.err)
	}
	late, err := h.client().Stream(h.as("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Send(answer(asked.GetId())); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("a late answer: %v", err)
	}
}

func TestStreamsEndWithTheTerm(t *testing.T) {
	h := newHouse(t).lead()
	w := h.connect("n1")
	opened := h.open(h.ctx, "n1")
	worker, err := h.client().Stream(h.as("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Send(answer(w.next().GetOpenStream().GetId())); err != nil {
		t.Fatal(err)
	}
	o := <-opened
	if o.err != nil {
		t.Fatal(o.err)
	}
	h.abdicate()
	if _, err := worker.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the worker hears %v", err)
	}
	if _, err := o.stream.Recv(); err == nil {
		t.Error("the stream outlives the term")
	}
}

// A node that was ready when its manager came to lead is on its way; whoever
// wants a stream of it need not try again.
func TestOpenWaitsForAWorkerThatIsOnItsWay(t *testing.T) {
	h := newHouse(t).lead()
	h.connect("n1")
	h.abdicate()
	h.lead()
	opened := h.open(h.ctx, "n1")
	w, err := h.client().Session(h.as("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Hello{Hello: &warrenv1.Hello{Node: &warrenv1.NodeDescription{Hostname: "n1"}}}}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := w.Recv()
		if err != nil {
			t.Fatalf("the worker that came was not asked: %v", err)
		}
		if m.GetOpenStream() != nil {
			break
		}
	}
	select {
	case o := <-opened:
		t.Errorf("opened before the worker answered: %v", o.err)
	default:
	}
}
