package store

import (
	"context"
	"errors"
	"sync"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Store gives typed access to the state of one engine.
type Store struct {
	engine Engine
	// witness vouches for rows; nil when nobody does.
	witness Witness

	// turn lets a transaction that lost again and again go alone: everybody
	// holds it for reading, who lost too often for writing.
	turn sync.RWMutex

	watchers watchers
}

// patience is how many conflicts a transaction takes before it asks for the
// state to itself.
const patience = 4

// New returns a store on the engine, whose Subscribe it takes for itself.
func New(engine Engine) *Store {
	s := &Store{engine: engine}
	engine.Subscribe(s.watchers.notify)
	return s
}

type staleKey struct{}

// Stale returns a context whose Views are content with what this manager has,
// which may be behind, and which needs no leader.
func Stale(ctx context.Context) context.Context { return context.WithValue(ctx, staleKey{}, true) }

// View runs fn on a snapshot that shows every change acknowledged before the
// call, anywhere in the cluster, unless ctx is Stale. fn must not call the store again nor wait for
// anything.
func (s *Store) View(ctx context.Context, fn func(*ReadTx) error) error {
	if ctx.Value(staleKey{}) == nil {
		if err := s.engine.Barrier(ctx); err != nil {
			return err
		}
	}
	return s.ViewStale(ctx, fn)
}

// ViewStale is View without asking whether this manager is up to date: for
// those who react to watches and look again.
func (s *Store) ViewStale(ctx context.Context, fn func(*ReadTx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	snapshot, err := s.engine.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	tx := &ReadTx{snapshot: snapshot, witness: s.witness}
	if err := fn(tx); err != nil {
		return err
	}
	return tx.broken
}

// Update runs fn and makes what it wrote happen as a whole, at one moment, or
// not at all. fn may run several times: when a row it read with Get changes
// meanwhile it runs again, and before an error of fn's or "nothing to write" is
// believed it runs once on a state that is known to be up to date. fn must
// change nothing but tx, and must not call the store again nor wait.
//
// When ctx carries a request (WithRequest) that was already done, the error is
// a *Replayed and nothing happens. Other errors: fn's own, and those of
// Proposer.Propose except ErrConflict.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	upToDate := false
	for conflicts := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		outcome, err := s.attempt(ctx, fn, conflicts > patience)
		switch {
		case errors.Is(err, ErrConflict):
			conflicts++
		case outcome == proposed || outcome == replayed || upToDate:
			return err
		default:
			if err := s.engine.Barrier(ctx); err != nil {
				return err
			}
			upToDate = true
		}
	}
}

// outcome says how far an attempt came.
type outcome int

const (
	// Nothing was proposed: the closure failed or wrote nothing.
	undecided outcome = iota
	proposed
	replayed
)

func (s *Store) attempt(ctx context.Context, fn func(*Tx) error, alone bool) (outcome, error) {
	if alone {
		s.turn.Lock()
		defer s.turn.Unlock()
	} else {
		s.turn.RLock()
		defer s.turn.RUnlock()
	}
	tx, err := s.run(ctx, fn)
	var done *Replayed
	if errors.As(err, &done) {
		return replayed, err
	}
	if err != nil {
		return undecided, err
	}
	t := tx.transaction()
	if len(t.Operations) == 0 {
		return undecided, nil
	}
	// A closure may have taken a while; losing here costs no log entry.
	if err := s.check(t.Guards); err != nil {
		return undecided, err
	}
	_, err = s.engine.Propose(ctx, t)
	return proposed, err
}

// run runs the closure on a snapshot of its own.
func (s *Store) run(ctx context.Context, fn func(*Tx) error) (*Tx, error) {
	snapshot, err := s.engine.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	tx := newTx(ctx, snapshot)
	tx.witness = s.witness
	if err := tx.replayed(); err != nil {
		return nil, err
	}
	if err := fn(tx); err != nil {
		return nil, err
	}
	return tx, tx.broken
}

// check is ErrConflict unless the guards hold right now.
func (s *Store) check(guards []*storepb.Guard) error {
	snapshot, err := s.engine.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	for _, g := range guards {
		if _, version := snapshot.Get(g.Key); version != g.Version {
			return ErrConflict
		}
	}
	return nil
}
