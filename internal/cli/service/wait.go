package service

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newWait(s *command.Shell) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait NAME",
		Short: "Wait until a service works, or has failed",
		Long: `Wait until all tasks of a service run, and its update, if there is one, is
complete. The exit code is 0 then. It is 1, and the reason is told, when a task
fails again and again or cannot be started, when the update is paused, when the
service is stopped, and when the time is over.`,
		Example: `  warren service wait web
  warren service update web --image web:2 --detach && warren service wait web --timeout 5m`,
		Args:              command.Names(spec.KindService, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	created := command.NewCreated(cmd, Noun)
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "`TIME` after which to give up (default: never)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if timeout < 0 || timeout == 0 && cmd.Flags().Changed("timeout") {
			return command.Usagef(cmd, "--timeout %s is no time to wait", timeout)
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			service, err := wait(ctx, s, c, args[0], timeout)
			if err != nil {
				return err
			}
			if u := service.GetUpdate(); u.GetState() == warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK {
				s.Warn([]string{"its last update failed and was rolled back: " + u.GetMessage()})
			}
			return created.Show(s, view.NewService(service), fmt.Sprintf("works: %d of %d tasks run", service.GetRunning(), spec.WantedTasks(service)))
		})(cmd, args)
	}
	return cmd
}

// wait returns the service once it works.
func wait(ctx context.Context, s *command.Shell, c *client.Client, ref string, timeout time.Duration) (*warrenv1.Service, error) {
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var service *warrenv1.Service
	var missing atomic.Value
	missing.Store("nothing was heard of it")
	err := s.WaitWith(limited, func() string { return fmt.Sprintf("Waiting for service %s: %s", ref, missing.Load()) }, func(ctx context.Context) error {
		return watch(ctx, c, ref, func(now *warrenv1.Service) (bool, error) {
			service, ref = now, now.GetMeta().GetId()
			verdict, why := spec.ServiceVerdict(now)
			missing.Store(why)
			if verdict == spec.Failed {
				return true, failedUpdate(now.GetMeta().GetName(), "service %q does not work: %s", now.GetMeta().GetName(), why)
			}
			return verdict == spec.Works, nil
		})
	})
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		name := service.GetMeta().GetName()
		return nil, failedUpdate(name, "service %q does not work after %s: %s", name, timeout, missing.Load())
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return service, err
}
