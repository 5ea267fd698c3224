package service

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newStop(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short:   "Stop the tasks of services, which remain",
			Example: `  warren service stop postgres`,
		},
		Verb: "stop", Doing: "Stopping",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			v, err := c.Services.StopService(ctx, &warrenv1.StopServiceRequest{Ref: &warrenv1.Ref{NameOrId: name}})
			return fmt.Sprintf("Service %s stopped", v.GetMeta().GetName()), err
		},
	})
}
