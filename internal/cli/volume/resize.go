package volume

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newResize(s *command.Shell) *cobra.Command {
	r := &warrenv1.ResizeVolumeRequest{Ref: &warrenv1.Ref{}}
	var size string
	cmd := &cobra.Command{
		Use:   "resize NAME --size SIZE",
		Short: "Raise the limit of a volume",
		Long: `Raise the limit of a volume that was created with --size, while it is in use if
its filesystem and the node's kernel can do that. Volumes do not shrink.`,
		Example:           `  warren volume resize db-data --size 20G`,
		Args:              command.Names(spec.KindVolume, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	resized := command.NewCreated(cmd, Noun)
	resize := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Volume
		err := s.Wait(ctx, "Resizing volume "+r.Ref.NameOrId, func(ctx context.Context) (err error) {
			v, err = c.Volumes.ResizeVolume(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		return resized.Show(s, view.NewVolume(v), fmt.Sprintf("resized to %s", spec.FormatSize(r.GetSizeBytes())))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		r.Ref.NameOrId = args[0]
		if size == "" {
			return command.Usagef(cmd, "--size says what volume %q shall hold at most", args[0])
		}
		if r.SizeBytes, err = spec.ParseVolumeSize(args[0], size); err != nil {
			return err
		}
		return resize(cmd, args)
	}
	cmd.Flags().StringVar(&size, "size", "", "`SIZE` that it can hold at most, such as 500MB or 10G")
	return cmd
}
