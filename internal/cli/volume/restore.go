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

func newRestore(s *command.Shell) *cobra.Command {
	r := &warrenv1.RestoreVolumeRequest{Volume: &warrenv1.Ref{}}
	cmd := &cobra.Command{
		Use:   "restore VOLUME --from SNAPSHOT",
		Short: "Give a volume the content of one of its snapshots",
		Long: `Give a volume the content of one of its snapshots. What it holds until then is
kept as another snapshot. A volume in use is not restored.

--force stops the services that use it first, and starts them again.`,
		Example: `  warren volume restore db-data --from snapshot-20251010
  warren volume restore db-data --from snapshot-20251010 --force`,
		Args:              command.Names(spec.KindVolume, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	restored := command.NewCreated(cmd, Noun)
	restore := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var answer *warrenv1.RestoreVolumeResponse
		err := s.Wait(ctx, "Restoring volume "+r.Volume.NameOrId, func(ctx context.Context) (err error) {
			answer, err = c.Snapshots.RestoreVolume(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		if err := restored.Show(s, view.NewVolume(answer.GetVolume()), "restored from "+r.GetFrom()); err != nil || !restored.ForPeople() {
			return err
		}
		if kept := answer.GetKept(); kept != nil {
			fmt.Fprintf(s.Out, "What it held before is snapshot %s\n", kept.GetMeta().GetName())
		}
		for _, name := range answer.GetRestartedServices() {
			fmt.Fprintf(s.Out, "Service %s restarted\n", name)
		}
		return nil
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Volume.NameOrId = args[0]
		if r.From == "" {
			return command.Usagef(cmd, "--from says which snapshot volume %q shall have the content of", args[0])
		}
		return restore(cmd, args)
	}
	cmd.Flags().StringVar(&r.From, "from", "", "the `SNAPSHOT`")
	cmd.Flags().BoolVar(&r.Force, "force", false, "stop the services that use it, and start them again")
	_ = cmd.RegisterFlagCompletionFunc("from", fromSnapshot(s))
	return cmd
}

// fromSnapshot completes the names of snapshots.
func fromSnapshot(s *command.Shell) command.Completion {
	complete := command.Complete(s, snapshots, true)
	return func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, nil, word)
	}
}

func newClone(s *command.Shell) *cobra.Command {
	r := &warrenv1.CloneVolumeRequest{Volume: &warrenv1.Ref{}}
	cmd := &cobra.Command{
		Use:   "clone [VOLUME] --name NEW [--from SNAPSHOT]",
		Short: "Make a new volume with the content of another, or of a snapshot",
		Long: `Make a new volume with what another one holds now, or with what a snapshot shows,
on the same node. The two have nothing to do with each other from then on.`,
		Example: `  warren volume clone db-data --name staging-data
  warren volume clone db-data --name staging-data --from snapshot-20251010`,
		Args:              command.Names(spec.KindVolume, 0, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	cloned := command.NewCreated(cmd, Noun)
	clone := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Volume
		err := s.Wait(ctx, "Making volume "+r.Name, func(ctx context.Context) (err error) {
			v, err = c.Snapshots.CloneVolume(ctx, r)
			return err
		})
		if err != nil {
			return err
		}
		return cloned.Show(s, view.NewVolume(v), "created")
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			r.Volume.NameOrId = args[0]
		} else if r.From == "" {
			return command.Usagef(cmd, "name the volume to clone, or a snapshot with --from")
		}
		if r.Name == "" {
			return command.Usagef(cmd, "--name says what the new volume is called")
		}
		return clone(cmd, args)
	}
	cmd.Flags().StringVar(&r.Name, "name", "", "`NAME` of the new volume")
	cmd.Flags().StringVar(&r.From, "from", "", "the `SNAPSHOT` (default: the volume as it is now)")
	cmd.Flags().StringToStringVarP(&r.Labels, "label", "l", nil, "label of the new volume: `KEY=VALUE` (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("from", fromSnapshot(s))
	return cmd
}
