package volume

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// trashed is the noun whose names are those in the trash, for completion.
var trashed = listing(&warrenv1.ListVolumesRequest{Trash: true})

func newUndelete(s *command.Shell) *cobra.Command {
	r := &warrenv1.UndeleteVolumeRequest{Ref: &warrenv1.Ref{}}
	cmd := &cobra.Command{
		Use:   "undelete NAME",
		Short: "Take a volume out of the trash",
		Long: `Take a volume out of the trash, with all that it had.

If another volume has its name by now, give it one with --as. If several volumes
of that name are in the trash, name the one by its ID.`,
		Example: `  warren volume undelete db-data
  warren volume undelete db-data --as db-data-old`,
		Args:              command.Names(spec.KindVolume, 1, 1),
		ValidArgsFunction: command.Complete(s, trashed, false),
	}
	undeleted := command.NewCreated(cmd, Noun)
	undelete := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Volume
		err := s.Wait(ctx, "Undeleting volume "+r.Ref.NameOrId, func(ctx context.Context) (err error) {
			v, err = c.Volumes.UndeleteVolume(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		return undeleted.Show(s, view.NewVolume(v), "undeleted")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Ref.NameOrId = args[0]
		return undelete(cmd, args)
	}
	cmd.Flags().StringVar(&r.As, "as", "", "`NAME` that it shall have (default: the one it had)")
	return cmd
}
