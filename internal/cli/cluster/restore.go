package cluster

import (
	"context"
	"fmt"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/cuemby/warren/internal/seal"
	"github.com/spf13/cobra"
)

// Restore is what `cluster restore` asks for.
type Restore struct {
	File string
	// Force puts aside what the data directory has.
	Force bool
	// Unlock gives the unlock key with a fingerprint.
	Unlock func(fingerprint string) (seal.UnlockKey, error)
}

// RunRestore makes this machine a manager of a backup's cluster, and says what
// to do next.
type RunRestore func(ctx context.Context, o nodeflags.Options, r Restore) (next string, err error)

func newRestore(s *command.Shell, run RunRestore) *cobra.Command {
	var (
		r       Restore
		keyFile string
	)
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make this machine a manager of a backup's cluster",
		Long: `Make this machine a manager of the cluster in a backup, or in a copy of
warren.db: its only one. Managers of before cannot take part with the state that
they have. The node is not started; what to type next is told at the end.

The unlock key is read from --unlock-key-file, from standard input, or asked for
at the terminal, and checked before anything is changed. A machine that has the
name of a node in the backup takes that node's place.`,
		Example: `  sudo warren cluster restore /backups/warren.tar
  sudo warren cluster restore /backups/warren.db.backup --unlock-key-file /run/media/usb/unlock.key
  sudo warren cluster restore /backups/warren.tar --force`,
	}
	managerOnly := cmd.Flags().Bool("manager-only", false, "this machine runs no containers")
	cmd.Flags().BoolVar(&r.Force, "force", false, "put aside the state that the data directory has")
	cmd.Flags().StringVar(&keyFile, "unlock-key-file", "", "`PATH` of a file with the unlock key, - for standard input")
	nodeflags.Run(cmd, func(ctx context.Context, o nodeflags.Options) error {
		o.ManagerOnly, o.LogLevel = *managerOnly, quietly(o.LogLevel)
		r.Unlock = func(fingerprint string) (seal.UnlockKey, error) {
			return readUnlockKey(s, keyFile, fmt.Sprintf("Unlock key %s: ", fingerprint))
		}
		var next string
		err := s.Wait(ctx, "Restoring", func(ctx context.Context) (err error) {
			next, err = run(ctx, o, r)
			return err
		})
		if err == nil {
			fmt.Fprint(s.Out, next)
		}
		return err
	})
	inner := cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return command.Usagef(cmd, "want the file of a backup")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.File = args[0]
		return inner(cmd, nil)
	}
	return cmd
}

// quietly leaves a command that ends by itself without a node's log.
func quietly(level string) string {
	if level == "" {
		return "error"
	}
	return level
}
