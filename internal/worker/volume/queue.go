package volume

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// queues hands out one turn at a time for each key. A turn that is never given
// back, because a call hangs in a dead filesystem, keeps its own key busy and
// no other.
type queues struct {
	mu    sync.Mutex
	turns map[string]*turn
}

type turn struct {
	// free holds a token while nobody has the turn.
	free chan struct{}
	// waiting counts holders and waiters; at zero the turn is forgotten.
	waiting int
	// What has the turn, since when; for the errors of those who wait.
	op    string
	since time.Time
}

func newQueues() *queues {
	return &queues{turns: map[string]*turn{}}
}

// take waits for the key's turn and returns what gives it back.
func (q *queues) take(ctx context.Context, key, op string) (func(), error) {
	t := q.join(key)
	select {
	case <-t.free:
		q.mu.Lock()
		t.op, t.since = op, time.Now()
		q.mu.Unlock()
		return func() { t.free <- struct{}{}; q.leave(key, t) }, nil
	case <-ctx.Done():
		q.mu.Lock()
		op, since := t.op, t.since
		q.mu.Unlock()
		q.leave(key, t)
		if op == "" {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: its storage has not answered to %s for %s",
			ErrBusy, op, time.Since(since).Round(time.Second))
	}
}

func (q *queues) join(key string) *turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.turns[key]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		q.turns[key] = t
	}
	t.waiting++
	return t
}

func (q *queues) leave(key string, t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.waiting--; t.waiting == 0 {
		delete(q.turns, key)
	}
}
