package manager

import (
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
as they were.`,
		Example: `  sudo warren manager start
  sudo warren manager start --data-dir /srv/warren`,
		Args: command.Names("", 0, 0),
	}
	nodeflags.Run(cmd, start)
	return cmd
}
