package server

import (
	"context"
	"errors"
	"sync"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// presence knows the streams that are open, so that they end when whoever
// opened them is no member any more.
type presence struct {
	mu   sync.Mutex
	open map[*visit]struct{}
}

// visit is one open stream.
type visit struct {
	caller Caller
	method string
	end    context.CancelCauseFunc
}

// enter notes that the context's caller has a stream open, until leave.
func (p *presence) enter(ctx context.Context, method string) (_ context.Context, leave func()) {
	caller, _ := CallerOf(ctx)
	ctx, end := context.WithCancelCause(ctx)
	v := &visit{caller, method, end}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[*visit]struct{}{}
	}
	p.open[v] = struct{}{}
	return ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, v)
		end(nil)
	}
}

func (p *presence) visits() []*visit {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*visit, 0, len(p.open))
	for v := range p.open {
		if v.caller.ID != "" { // root needs no membership
			list = append(list, v)
		}
	}
	return list
}

// Run ends streams whose callers were removed or revoked, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	w := s.store.Watch(store.TableNodes, store.TableClients)
	defer w.Close()
	for {
		if _, err := w.Next(ctx); err != nil {
			return nil // ctx ended, or the state was closed
		}
		for _, v := range s.presence.visits() {
			if err := s.mayStay(ctx, v); err != nil && ctx.Err() == nil {
				s.log.Info("ended a call", "method", v.method, "caller", v.caller.String(), "why", err)
				v.end(err)
			}
		}
	}
}

// mayStay is an error when the caller is no member any more, or no longer one
// who may call this.
func (s *Server) mayStay(ctx context.Context, v *visit) error {
	caller, err := s.Member(ctx, pki.Identity{Name: v.caller.ID, Roles: v.caller.Roles})
	var problem *spec.Problem
	if err != nil && !errors.As(err, &problem) {
		return nil // it cannot be known now; the next change asks again
	}
	if err == nil {
		err = s.rules.check(v.method, caller)
	}
	return err
}

// whyEnded prefers the reason that a call was ended for.
func whyEnded(ctx context.Context, err error) error {
	var problem *spec.Problem
	if errors.As(context.Cause(ctx), &problem) {
		return problem
	}
	return err
}
