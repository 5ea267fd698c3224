package manager

import (
	"context"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

func newStart(start Start) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start this machine's node again",
		Long: `Start the node that was set up in the data directory before, until interrupted.
Containers that were left running are taken over. Flags that are not given stay
as they were.

With --rejoin a manager of before a restore or a recovery puts its state aside,
and takes over that of the managers that are the cluster now.`,
		Example: `  sudo warren manager start
  sudo warren manager start --data-dir /srv/warren
  sudo warren manager start --rejoin`,
		Args: command.Names("", 0, 0),
	}
	rejoin := cmd.Flags().Bool("rejoin", false, "take over the other managers' state; this one's is put aside")
	nodeflags.Run(cmd, func(ctx context.Context, o nodeflags.Options) error {
		o.Rejoin = *rejoin
		return start(ctx, o)
	})
	return cmd
}
