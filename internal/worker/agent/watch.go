package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// watch waits for the end of the container's process, and has its health
// checked meanwhile; but only until the given time has passed, if that is not
// 0.
func (t *task) watch(ctx context.Context, want *warrenv1.Task, limit time.Duration) outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit > 0 {
		late := time.AfterFunc(limit, cancel)
		defer late.Stop()
	}
	var unhealthy string
	var checks sync.WaitGroup
	if check := want.GetContainer().GetHealth(); check != nil {
		checks.Go(func() {
			if unhealthy = t.checkHealth(ctx, check, want); unhealthy != "" || t.unmountDue(want) {
				cancel()
			}
		})
	}
	exit, err := t.a.cfg.Runtime.Wait(ctx, t.id)
	interrupted := ctx.Err() != nil
	cancel()
	checks.Wait()
	switch {
	case unhealthy != "":
		t.progress.Unhealthy = unhealthy
		t.save()
		return outcome{verdict: done} // the next step ends it
	case interrupted:
		return outcome{verdict: done}
	case errors.Is(err, runtime.ErrNotFound):
		return t.ended(want, nil, removedByOthers)
	case err != nil:
		t.log.Error("waiting for the container failed; trying again", "error", err)
		return retryAfter(time.Second)
	}
	return t.ended(want, &exit, endReason(exit, want))
}

// replace ends a container that is not healthy, so that another one takes its
// place. It goes on where an interruption left it.
func (t *task) replace(ctx context.Context, want *warrenv1.Task) outcome {
	exit, err := t.halt(ctx, want)
	switch {
	case ctx.Err() != nil:
		return outcome{verdict: done}
	case err != nil:
		t.log.Error("an unhealthy container does not stop; trying again", "error", err)
		return retryAfter(time.Second)
	}
	return t.ended(want, exit, "")
}
