package service

import (
	"context"
	"sync"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
)

// alarms remember when services have to be looked at again although nothing was
// committed: a delay has passed, a new task has been up for long enough.
type alarms struct {
	mu sync.Mutex
	at map[store.Key]time.Time
	// changed is signalled when there is an earlier one.
	changed chan struct{}
}

func newAlarms() *alarms {
	return &alarms{at: map[store.Key]time.Time{}, changed: make(chan struct{}, 1)}
}

// set replaces the service's alarm; a zero time takes it away.
func (a *alarms) set(service store.Key, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at.IsZero() {
		delete(a.at, service)
		return
	}
	a.at[service] = at
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// run calls ring for each service whose time has come, until ctx ends.
func (a *alarms) run(ctx context.Context, ring func(store.Key)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, next := a.take(time.Now())
		for _, service := range due {
			ring(service)
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
func (a *alarms) take(now time.Time) (due []store.Key, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for service, at := range a.at {
		if !at.After(now) {
			due = append(due, service)
			delete(a.at, service)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return due, next
}
