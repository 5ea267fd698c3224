package service

import (
	"context"
	"fmt"
	"sync/atomic"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
)

// watch calls see with the service as it is and whenever it changes, until see
// is done, or fails. A connection that is lost is made anew.
func watch(ctx context.Context, c *client.Client, id string, see func(*warrenv1.Service) (done bool, err error)) error {
	return command.Resume(ctx, func(ctx context.Context, heard func()) error {
		stream, err := c.Services.WatchService(ctx, &warrenv1.Ref{NameOrId: id})
		if err != nil {
			return err
		}
		for {
			service, err := stream.Recv()
			if err != nil {
				return err
			}
			heard()
			if done, err := see(service); done || err != nil {
				return err
			}
		}
	})
}

// followUpdate shows how the tasks of a service are replaced, until that has
// ended: live on a terminal, in a pipe with a line for each step. It returns
// the service as it is then, and an error unless it is as it was asked for.
func followUpdate(ctx context.Context, s *command.Shell, c *client.Client, doing string, service *warrenv1.Service, people bool) (*warrenv1.Service, error) {
	name, rollout := service.GetMeta().GetName(), service.GetRollout()
	steps := newSteps()
	var live atomic.Value
	live.Store(doing + " service " + name)
	err := s.WaitWith(ctx, func() string { return live.Load().(string) }, func(ctx context.Context) error {
		return watch(ctx, c, service.GetMeta().GetId(), func(now *warrenv1.Service) (bool, error) {
			service = now
			for _, line := range steps.of(now) {
				live.Store(fmt.Sprintf("%s service %s: %s", doing, name, line))
				if people && !command.Terminal(s.Out) {
					fmt.Fprintln(s.Out, command.Visible(line))
				}
			}
			if now.GetRollout() != rollout {
				return true, spec.Problemf(spec.Refused, spec.KindService, name, "service %q was updated again meanwhile", name).
					WithHint("warren service wait %s", name)
			}
			return ended(now)
		})
	})
	if ctx.Err() != nil {
		fmt.Fprintf(s.Err, "The update of service %s goes on; warren service wait %s waits for its end.\n", name, name)
		return service, context.Canceled
	}
	return service, err
}

// ended tells whether the update of a service has, and how.
func ended(s *warrenv1.Service) (bool, error) {
	u, name := s.GetUpdate(), s.GetMeta().GetName()
	switch u.GetState() {
	case warrenv1.UpdateState_UPDATE_STATE_COMPLETED:
		if u.GetMessage() == "" {
			return true, nil
		}
		return true, failedUpdate(name, "the update of service %q is complete, but %s", name, u.GetMessage())
	case warrenv1.UpdateState_UPDATE_STATE_PAUSED:
		return true, failedUpdate(name, "the update of service %q is paused: %s", name, u.GetMessage()).
			WithHint("warren service rollback %s goes back; warren service update %s goes on", name, name)
	case warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK:
		return true, failedUpdate(name, "the update of service %q failed and was rolled back: %s", name, u.GetMessage())
	case warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED:
		return true, failedUpdate(name, "the update of service %q failed, and so did its rollback: %s", name, u.GetMessage())
	}
	return false, nil
}

func failedUpdate(name, format string, args ...any) *spec.Problem {
	return spec.Problemf(spec.Unavailable, spec.KindService, name, format, args...).WithHint("warren service ps %s", name)
}
