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

func newHistory(s *command.Shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Show what a service was before, and what changed each time",
		Example: `  warren service history web
  warren service history web -o json`,
		Args:              command.Names(spec.KindService, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, args []string) error {
		var answer *warrenv1.ListRevisionsResponse
		err := s.Wait(ctx, "Reading the history of service "+args[0], func(ctx context.Context) (err error) {
			answer, err = c.Services.ListRevisions(ctx, &warrenv1.Ref{NameOrId: args[0]})
			return err
		})
		if err != nil {
			return err
		}
		list := view.All(answer.GetRevisions(), view.NewRevision)
		slices.Reverse(list)
		return command.ShowTable(s, *format, revisionColumns, list)
	})
	return cmd
}

var revisionColumns = append([]command.Column[view.Revision]{
	command.Text("REVISION", func(v view.Revision) string { return fmt.Sprint(v.Revision) }),
	command.Age("CREATED", func(v view.Revision) time.Time { return v.CreatedAt }),
	command.Text("IMAGE", func(v view.Revision) string { return v.Image }),
	command.Text("REPLICAS", func(v view.Revision) string { return fmt.Sprint(v.Replicas) }),
	command.Text("CHANGE", func(v view.Revision) string { return v.Change }),
}, command.OnlyWide(
	command.Text("LABELS", func(v view.Revision) string { return command.Pairs(v.Labels) }),
	command.Text("TASKS OF", func(v view.Revision) string { return fmt.Sprint(v.SpecVersion) }),
)...)
