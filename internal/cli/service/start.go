package service

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newStart(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short:   "Start services that were stopped",
			Example: `  warren service start postgres`,
		},
		Verb: "start", Doing: "Starting",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			v, err := c.Services.StartService(ctx, &warrenv1.StartServiceRequest{Ref: &warrenv1.Ref{NameOrId: name}})
			s.Warn(v.GetWarnings())
			return fmt.Sprintf("Service %s started", v.GetMeta().GetName()), err
		},
	})
}
