package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// errStalled is returned by await when nothing moved for too long.
var errStalled = errors.New("nothing moved")

// look reads what a call waits for. progress is any text that changes when
// something moved; done ends the waiting.
type look func(*store.ReadTx) (progress string, done bool, err error)

// await looks whenever one of the tables changes, until the look is done or
// fails, ctx ends, or nothing moved for the given time: then errStalled.
func (s *Server) await(ctx context.Context, patience time.Duration, see look, tables ...store.Table) error {
	w := s.store.Watch(tables...)
	defer w.Close()
	last, end := "", time.Now().Add(patience)
	for {
		still, cancel := context.WithDeadline(ctx, end)
		_, err := w.Next(still)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return errStalled
		}
		if err != nil {
			return err
		}
		var progress string
		var done bool
		err = s.store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
			progress, done, err = see(tx)
			return err
		})
		if err != nil || done {
			return err
		}
		if progress != last {
			last, end = progress, time.Now().Add(patience)
		}
	}
}

// goingAway is a name that is taken by an object whose deletion was asked for.
type goingAway struct {
	kind, name string
	// gone looks whether the object is no more.
	gone look
	// tables are what gone looks at.
	tables []store.Table
	// slack is how long the object may need to move at all.
	slack time.Duration
	// holdup says what it waits for, as the end of a sentence.
	holdup func(*store.ReadTx) (string, error)
}

func (g *goingAway) Error() string { return fmt.Sprintf("%s %q is being deleted", g.kind, g.name) }

// awaitGone returns once the object is no more, or says what holds it up.
func (s *Server) awaitGone(ctx context.Context, g *goingAway) error {
	err := s.await(ctx, s.config.Patience+g.slack, g.gone, g.tables...)
	if !errors.Is(err, errStalled) {
		return err
	}
	return s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		why, err := g.holdup(tx)
		if err != nil {
			return err
		}
		return spec.Problemf(spec.Unavailable, g.kind, g.name, "%s, and that has not ended yet%s", g, why).
			WithHint("it goes on by itself; warren %s inspect %s shows what it waits for", g.kind, g.name)
	})
}

// commit runs fn in one transaction and records the context's request as done
// on the object whose ID fn returns. When the request was done before, that
// object's ID is returned and nothing happens. When fn says that the name is
// going away, it is run again once it is gone.
func (s *Server) commit(ctx context.Context, fn func(*store.Tx) (objectID string, err error)) (objectID string, err error) {
	for {
		err = s.store.Update(ctx, func(tx *store.Tx) error {
			if objectID, err = fn(tx); err != nil {
				return err
			}
			return tx.Done(objectID)
		})
		var old *goingAway
		if !errors.As(err, &old) {
			break
		}
		if err := s.awaitGone(ctx, old); err != nil {
			return "", err
		}
	}
	var done *store.Replayed
	if errors.As(err, &done) {
		return done.ObjectID, nil
	}
	return objectID, err
}
