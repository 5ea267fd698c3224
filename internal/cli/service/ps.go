package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newPs(s *command.Shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ps NAME",
		Short: "Show the tasks of a service, those before too, and how they ended",
		Long: `Show the tasks of a service, slot by slot, the newest first. Of each slot the
last five are kept.`,
		Example: `  warren service ps web
  warren service ps web -o json`,
		Args:              command.Names(spec.KindService, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, args []string) error {
		var answer *warrenv1.ListTasksResponse
		err := s.Wait(ctx, "Listing the tasks of service "+args[0], func(ctx context.Context) (err error) {
			answer, err = c.Tasks.ListTasks(ctx, &warrenv1.ListTasksRequest{Filter: &warrenv1.Filter{}, Service: args[0], All: true})
			return err
		})
		if err != nil {
			return err
		}
		tasks := view.All(answer.GetTasks(), view.NewTask)
		slices.SortStableFunc(tasks, func(a, b view.Task) int {
			if a.Slot != b.Slot {
				return int(a.Slot) - int(b.Slot)
			}
			return int(b.Incarnation) - int(a.Incarnation)
		})
		return command.ShowTable(s, *format, psColumns, tasks)
	})
	return cmd
}

var psColumns = append([]command.Column[view.Task]{
	command.Text("NAME", func(v view.Task) string { return v.Name }),
	command.Text("REVISION", func(v view.Task) string { return fmt.Sprint(v.Version) }),
	command.Text("IMAGE", func(v view.Task) string { return v.Image }),
	command.Text("STATE", func(v view.Task) string { return v.State }),
	command.Text("NODE", func(v view.Task) string { return v.Node }),
	command.Age("STARTED", func(v view.Task) time.Time { return v.StartedAt }),
	command.Age("ENDED", func(v view.Task) time.Time { return v.FinishedAt }),
	command.Text("LAST EXIT", view.Task.Exit),
	command.Text("REASON", func(v view.Task) string { return v.Message }),
}, command.OnlyWide(
	command.Text("ID", func(v view.Task) string { return v.ID }),
	command.Text("DESIRED", func(v view.Task) string { return v.Desired }),
	command.Text("RESTARTS", func(v view.Task) string { return fmt.Sprint(v.Restarts) }),
	command.Text("ADDRESS", func(v view.Task) string { return v.Address }),
)...)
