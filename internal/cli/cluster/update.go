package cluster

import (
	"context"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

func newUpdate(s *command.Shell) *cobra.Command {
	var trash time.Duration
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Change settings of the whole cluster",
		Example: `  warren cluster update --trash-time 48h
  warren cluster update --trash-time 0     # deleted volumes go at once`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	update := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Cluster
		err := s.Wait(ctx, "Updating the cluster", func(ctx context.Context) (err error) {
			v, err = c.Clusters.UpdateCluster(ctx, &warrenv1.UpdateClusterRequest{TrashTime: durationpb.New(trash)})
			return err
		})
		if err != nil {
			return err
		}
		return command.ShowOne(s, noun, *format, view.NewCluster(v, c.Address()))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("trash-time") {
			return command.Usagef(cmd, "nothing to change is named")
		}
		return update(cmd, args)
	}
	cmd.Flags().DurationVar(&trash, "trash-time", 0, "`TIME` that deleted volumes wait in the trash, such as 48h; 0 is not at all")
	return cmd
}
