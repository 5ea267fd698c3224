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
	var (
		trash, every time.Duration
		autolock     bool
	)
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Change settings of the whole cluster",
		Long: `Change settings of the whole cluster.

With --autolock the managers keep the unlock key in memory only: whoever has a
manager's disk has no key to it, and each manager that is started waits, sealed,
for "warren cluster unlock". Somebody must have the unlock key before.`,
		Example: `  warren cluster update --trash-time 48h
  warren cluster update --trash-time 0     # deleted volumes go at once
  warren cluster update --autolock
  warren cluster update --rotate-every 720h`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	r := &warrenv1.UpdateClusterRequest{}
	update := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Cluster
		err := s.Wait(ctx, "Updating the cluster", func(ctx context.Context) (err error) {
			v, err = c.Clusters.UpdateCluster(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		return command.ShowOne(s, noun, *format, view.NewCluster(v, c.Address()))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		named := cmd.Flags().Changed
		if named("trash-time") {
			r.TrashTime = durationpb.New(trash)
		}
		if named("autolock") {
			r.Autolock = &autolock
		}
		if named("rotate-every") {
			r.RotateEvery = durationpb.New(every)
		}
		if r.TrashTime == nil && r.Autolock == nil && r.RotateEvery == nil {
			return command.Usagef(cmd, "nothing to change is named")
		}
		return update(cmd, args)
	}
	cmd.Flags().DurationVar(&trash, "trash-time", 0, "`TIME` that deleted volumes wait in the trash, such as 48h; 0 is not at all")
	cmd.Flags().BoolVar(&autolock, "autolock", false, "keep the unlock key on no manager's disk")
	cmd.Flags().DurationVar(&every, "rotate-every", 0, "replace the key that seals secrets that often, such as 720h; 0 for never")
	return cmd
}
