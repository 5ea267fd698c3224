package task

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	var (
		service string
		all     bool
	)
	n := Noun
	n.List = func(ctx context.Context, c *client.Client, labels []string) ([]view.Task, error) {
		return list(ctx, c, &warrenv1.ListTasksRequest{
			Filter: &warrenv1.Filter{Labels: labels}, Service: service, All: all,
		})
	}
	cmd := command.NewList(s, n, command.Doc{
		Short: "List tasks",
		Long:  "List tasks: those that are not over, or with --all the others too.",
		Example: `  warren task list
  warren task list --service postgres --all -o wide`,
	})
	cmd.Flags().StringVar(&service, "service", "", "only the tasks of `SERVICE`")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "stopped ones too")
	return cmd
}
