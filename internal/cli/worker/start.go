package worker

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

func newStart(s *command.Shell, start nodeflags.Join) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run this machine as a worker",
		Long: `Run this machine as a worker until interrupted. The first time it joins a
cluster: it takes a token and the address of a manager, makes a key that never
leaves this machine, and gets a certificate for it. Before the token's secret is
said, the manager must prove that it is one of the token's cluster.

Later it needs neither, and takes over containers that were left running.`,
		Example: `  sudo warren worker start --token WRNT-1-... --manager 10.0.0.1:8080
  sudo warren worker start --token-file /root/token --manager 10.0.0.1:8080 --node-name worker-1
  sudo warren worker start`,
		Args: command.Names("", 0, 0),
	}
	nodeflags.RunJoining(s, cmd, start)
	return cmd
}
