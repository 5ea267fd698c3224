package service

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newRollback(s *command.Shell) *cobra.Command {
	var to uint64
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Give a service an earlier spec again",
		Long: `Give a service an earlier spec again: the one before its last change, or the
revision that is named. It is a change like others: it has a revision of its
own, and its tasks are replaced some at a time. Tasks that still run as the
earlier spec says remain.`,
		Example: `  warren service rollback web
  warren service rollback web --to 3`,
		Args:              command.Names(spec.KindService, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	out := newOutcome(cmd)
	cmd.Flags().Uint64Var(&to, "to", 0, "`REVISION` to go back to, as service history shows it (default: the one before)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("to") && to == 0 {
			return command.Usagef(cmd, "there is no revision 0: they count from 1")
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			before, err := c.Services.GetService(ctx, &warrenv1.Ref{NameOrId: args[0]})
			if err != nil {
				return err
			}
			return out.follow(ctx, s, c, "Rolling back", before, func(ctx context.Context) (*warrenv1.UpdateServiceResponse, error) {
				return c.Services.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: &warrenv1.Ref{NameOrId: before.GetMeta().GetId()}, Revision: to})
			})
		})(cmd, args)
	}
	return cmd
}
