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

func newCreate(s *command.Shell) *cobra.Command {
	var labels, options []string
	var size, access string
	r := &warrenv1.CreateVolumeRequest{Spec: &warrenv1.VolumeSpec{}}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a volume",
		Long: `Create a volume. It returns once the volume's directory exists on its node.

With --size, whoever writes more gets "no space left on device", and other
volumes do not notice. The space is reserved at once; the volume's filesystem
takes some of it for itself. Without it, the node's disk is the limit.`,
		Example: `  warren volume create my-data
  warren volume create db-data --driver local --label env=production --label app=postgres
  warren volume create db-data --size 10G
  warren volume create db-data --node worker-2 --access exclusive`,
		Args:              command.Names(spec.KindVolume, 1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	created := command.NewCreated(cmd, Noun)
	create := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Volume
		err := s.Wait(ctx, "Creating volume "+r.Name, func(ctx context.Context) (err error) {
			v, err = c.Volumes.CreateVolume(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		return created.Show(s, view.NewVolume(v), "created")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		r.Name = args[0]
		if r.Labels, err = spec.ParseLabels(labels); err != nil {
			return err
		}
		if size != "" {
			if r.Spec.SizeBytes, err = spec.ParseVolumeSize(r.Name, size); err != nil {
				return err
			}
		}
		if access != "" {
			if r.Spec.Access, err = spec.ParseAccessMode(access); err != nil {
				return err
			}
		}
		if r.Spec.Options, err = command.ParsePairs(cmd, "option", options); err != nil {
			return err
		}
		return create(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Spec.Driver, "driver", spec.DriverLocal, "`DRIVER` that keeps the data")
	flags.StringVar(&r.Node, "node", "", "`NODE` that shall have the data, for good (default: the manager chooses)")
	flags.StringVar(&size, "size", "", "`SIZE` that it can hold at most, such as 500MB or 10G (default: as the disk has)")
	flags.StringVar(&access, "access", "", "who may use it at once: `MODE` exclusive (one task), node (tasks of one node) or shared (of all nodes) (default: node)")
	flags.StringArrayVar(&options, "option", nil, "option of the driver: `KEY=VALUE` (repeatable)")
	flags.StringArrayVarP(&labels, "label", "l", nil, "label: `KEY=VALUE` (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("driver", cobra.FixedCompletions([]string{spec.DriverLocal}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("access", cobra.FixedCompletions(spec.AccessModes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
