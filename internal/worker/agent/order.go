package agent

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// verdict is what a step found.
type verdict int

const (
	// done: there may be more to do at once.
	done verdict = iota
	// wait: nothing to do before something changes.
	wait
	// retry: nothing to do before a time has passed, or something changes.
	retry
	// dead: there will never be anything to do again.
	dead
)

// outcome is how a step ended; after is for retry.
type outcome struct {
	verdict verdict
	after   time.Duration
}

func retryAfter(d time.Duration) outcome { return outcome{retry, d} }

// order is what the manager wants of one object, and the loop that makes it
// true step by step. Its methods may be called from any goroutine.
type order[T proto.Message] struct {
	mu      sync.Mutex
	want    T
	removed bool
	cancel  context.CancelFunc // of the step that runs now
	wake    chan struct{}
}

func newOrder[T proto.Message](want T) order[T] {
	return order[T]{want: want, wake: make(chan struct{}, 1)}
}

// current returns what is wanted; removed when it is assigned no longer.
func (o *order[T]) current() (want T, removed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.want, o.removed
}

// wants says whether exactly this is wanted already.
func (o *order[T]) wants(want T) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.removed && proto.Equal(o.want, want)
}

// update changes what is wanted and interrupts the present step.
func (o *order[T]) update(want T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.want, o.removed = want, false
	o.interrupt()
}

// remove says that the object is assigned no longer.
func (o *order[T]) remove() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.removed = true
	o.interrupt()
}

func (o *order[T]) interrupt() {
	if o.cancel != nil {
		o.cancel()
	}
	o.poke()
}

// poke lets the loop look again at what it waits for.
func (o *order[T]) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// follow takes steps until one is dead or ctx ends. A step's context ends too
// when what is wanted changes; the step should then return done.
func (o *order[T]) follow(ctx context.Context, step func(context.Context) outcome) {
	for ctx.Err() == nil {
		out := o.once(ctx, step)
		switch out.verdict {
		case dead:
			return
		case wait:
			select {
			case <-o.wake:
			case <-ctx.Done():
			}
		case retry:
			timer := time.NewTimer(out.after)
			select {
			case <-o.wake:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
	}
}

func (o *order[T]) once(ctx context.Context, step func(context.Context) outcome) outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.mu.Lock()
	o.cancel = cancel
	o.mu.Unlock()
	return step(ctx)
}
