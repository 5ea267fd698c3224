package cluster

import (
	"context"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

func newInit(run Init) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create a cluster and run its first node",
		Long: `Create a cluster, and run this machine as its first manager and worker until
interrupted. Whoever types it gets an administrator's certificate in ~/.warren.

The unlock key is shown once, on a terminal only: whoever restores a backup on
another machine needs it. With --autolock no manager keeps it, and each start of
one has to be followed by "warren cluster unlock". Later the node is started with "warren manager start".`,
		Example: `  sudo warren cluster init
  sudo warren cluster init --data-dir /srv/warren --listen-addr 10.0.0.1:8080
  sudo warren cluster init --autolock --unlock-key-file /run/media/usb/unlock.key
  sudo warren cluster init --manager-only --advertise-addr 10.0.0.1:8080`,
		Args: command.Names("", 0, 0),
	}
	managerOnly := cmd.Flags().Bool("manager-only", false, "this machine runs no containers")
	autolock := cmd.Flags().Bool("autolock", false, "keep the unlock key on no manager's disk")
	keyFile := cmd.Flags().String("unlock-key-file", "", "write the unlock key to `FILE` too, which must not exist")
	nodeflags.Run(cmd, func(ctx context.Context, o nodeflags.Options) error {
		o.ManagerOnly, o.Autolock, o.UnlockKeyFile = *managerOnly, *autolock, *keyFile
		return run(ctx, o)
	})
	return cmd
}
