package server

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Streams opens conversations with workers. Workers always call, so that to
// open one means to ask the worker and wait until it does.
type Streams interface {
	// Open asks the node's worker to serve what open names; its ID is chosen
	// by the implementation. The error is a *spec.Problem when the node is not
	// connected. The stream ends with ctx or with Close.
	Open(ctx context.Context, nodeID string, open *warrenv1.OpenStream) (Stream, error)
}

// Stream is one conversation with a worker. One goroutine may send while
// another one receives.
type Stream interface {
	Send(*warrenv1.ManagerFrame) error
	// Recv returns io.EOF after the last frame, and what the worker reports as
	// its failure as a status error.
	Recv() (*warrenv1.WorkerFrame, error)
	// Close ends the conversation; it may be called more than once.
	Close() error
}

// StreamsFunc is a function that is Streams.
type StreamsFunc func(ctx context.Context, nodeID string, open *warrenv1.OpenStream) (Stream, error)

// Open calls the function.
func (f StreamsFunc) Open(ctx context.Context, nodeID string, open *warrenv1.OpenStream) (Stream, error) {
	return f(ctx, nodeID, open)
}
