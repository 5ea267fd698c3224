package manager

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

func newJoin(s *command.Shell, join nodeflags.Join) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Make this machine one of a cluster's managers",
		Long: `Make this machine one of a cluster's managers, and run it until interrupted. It
gets the whole state from the others, then a vote. Three managers go on when one
is lost; two stop when either is.

Later it is started with "warren manager start".`,
		Example: `  sudo warren manager join --token WRNT-1-... --manager 10.0.0.1:8080
  sudo warren manager join --token-file /root/token --manager 10.0.0.1:8080 --advertise-addr 10.0.0.2:8080`,
		Args: command.Names("", 0, 0),
	}
	nodeflags.RunJoining(s, cmd, join)
	return cmd
}
