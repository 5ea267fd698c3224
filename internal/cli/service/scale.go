package service

import (
	"context"
	"fmt"
	"strconv"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newScale(s *command.Shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "scale NAME REPLICAS",
		Short:             "Change how many tasks a service has",
		Example:           `  warren service scale web 5`,
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 || args[0] == "" {
			return command.Usagef(cmd, "%q needs the name of a service and a number", cmd.CommandPath())
		}
		return nil
	}
	created := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.ParseUint(args[1], 10, 32)
		if err != nil {
			return command.Usagef(cmd, "%q is not a number of replicas", args[1])
		}
		r := &warrenv1.ScaleServiceRequest{Ref: &warrenv1.Ref{NameOrId: args[0]}, Replicas: uint32(n)}
		if err := spec.Replicas(args[0], r.Replicas); err != nil {
			return err
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			var v *warrenv1.Service
			err := s.Wait(ctx, "Scaling service "+args[0], func(ctx context.Context) (err error) {
				v, err = c.Services.ScaleService(ctx, r)
				return err
			})
			if err != nil {
				return err
			}
			s.Warn(v.GetWarnings())
			return created.Show(s, view.NewService(v), fmt.Sprintf("scaled to %d", n))
		})(cmd, args)
	}
	return cmd
}
