package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
)

// Departure is what came of a node that left its cluster: names, and where the
// data of the lost volumes still is.
type Departure struct {
	Node, Cluster string
	LostVolumes   []string
	Volumes       string
}

func newLeave(s *command.Shell, leave func(ctx context.Context, o NodeOptions, force bool) (Departure, error)) *cobra.Command {
	var confirm command.Confirmation
	var force bool
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take this machine out of its cluster",
		Long: `Take this machine out of its cluster. Its tasks are stopped, and run elsewhere
where they can; its secrets, keys and certificate are removed. It may join a
cluster again, with a token.

A node that has the data of volumes is refused, and the volumes are named: with
--force the cluster gives them up, and what is on the disk stays there. A manager
hands over first; the last one cannot leave, nor one without which the others
would have no majority.`,
		Example: `  sudo warren leave
  sudo warren leave --force`,
		Args: command.Names("", 0, 0),
	}
	confirm.Bind(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "although volumes are lost with it, or tasks do not stop")
	nodeflags.BindLeaving(cmd, func(ctx context.Context, o nodeflags.Options) error {
		if err := confirm.Ask(ctx, s, "Take this machine out of its cluster?"); err != nil {
			return err
		}
		var d Departure
		err := s.Wait(ctx, "Leaving the cluster", func(ctx context.Context) (err error) {
			d, err = leave(ctx, o, force)
			return err
		})
		if err != nil {
			return err
		}
		done := fmt.Sprintf("Node %s has left cluster %s", d.Node, d.Cluster)
		fmt.Fprintln(s.Out, command.WithEffects(done, "Volume %s given up; its data is still in "+d.Volumes, d.LostVolumes))
		return nil
	})
	return cmd
}
