package service

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newDelete(s *command.Shell) *cobra.Command {
	var detach bool
	cmd := command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Stop and delete services; their volumes and secrets remain",
			Long: `Stop and delete services; their volumes and secrets remain.

It returns once the tasks have stopped and released their volumes, or at once
with --detach.`,
			Example: `  warren service delete postgres
  warren service delete web api --detach`,
		},
		Verb: "delete", Doing: "Deleting",
		Question: func(names string) string { return fmt.Sprintf("Stop and delete service %s?", names) },
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			v, err := c.Services.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: &warrenv1.Ref{NameOrId: name}, Detach: detach})
			done := "Service %s deleted"
			if detach {
				done = "Service %s is being deleted"
			}
			return fmt.Sprintf(done, v.GetMeta().GetName()), err
		},
	})
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "do not wait until its tasks have stopped")
	return cmd
}
