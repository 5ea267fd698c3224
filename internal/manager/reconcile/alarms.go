package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
)

// Alarms remember when objects have to be looked at again although nothing was
// committed: a delay has passed, a new task has been up for long enough.
type Alarms struct {
	mu sync.Mutex
	at map[store.Key]time.Time
	// changed is signalled when there is an earlier one.
	changed chan struct{}
}

// NewAlarms returns none.
func NewAlarms() *Alarms {
	return &Alarms{at: map[store.Key]time.Time{}, changed: make(chan struct{}, 1)}
}

// Set replaces the object's alarm; a zero time takes it away.
func (a *Alarms) Set(object store.Key, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at.IsZero() {
		delete(a.at, object)
		return
	}
	a.at[object] = at
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// Run calls ring for each object whose time has come, until ctx ends.
func (a *Alarms) Run(ctx context.Context, ring func(store.Key)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, next := a.take(time.Now())
		for _, object := range due {
			ring(object)
		}
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-timer.C:
		}
	}
}

// take removes the alarms that are due and tells when the next one is.
func (a *Alarms) take(now time.Time) (due []store.Key, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for object, at := range a.at {
		if !at.After(now) {
			due = append(due, object)
			delete(a.at, object)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return due, next
}
