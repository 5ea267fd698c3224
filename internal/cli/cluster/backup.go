package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/backup/bundle"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newBackup(s *command.Shell) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the cluster's whole state to a file",
		Long: `Write the cluster's whole state to a file, while it runs: nodes, services,
volumes (not what is in them), and secrets as they are sealed. Whoever restores
it needs the unlock key too, which is not in it; "warren cluster unlock-key"
gives it.`,
		Example: `  warren cluster backup /backups/warren-$(date +%F).tar
  warren cluster backup /backups/warren.tar --force`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.Usagef(cmd, "want one file to write")
			}
			return nil
		},
	}
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, args []string) error {
		file := args[0]
		if !force {
			if err := absentBackup(file); err != nil {
				return err
			}
		}
		info, err := writeBackup(ctx, s, c, file, force)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "Cluster %s is backed up in %s (%s); it opens with unlock key %s\n",
			info.GetClusterId(), file, spec.FormatSizeLong(info.GetSize()), info.GetUnlockKeyFingerprint())
		if !info.GetUnlockKeyExported() {
			fmt.Fprintln(s.Err, "Warning: nobody was ever given that unlock key. Without it this backup opens for nobody: warren cluster unlock-key")
		}
		return nil
	})
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that exists")
	return cmd
}

func absentBackup(file string) error {
	if _, err := os.Lstat(file); err == nil {
		return &client.Error{Code: client.Exists, Message: file + " exists", Hint: "name another file, or replace it with --force"}
	}
	return nil
}

// writeBackup writes a whole backup, or nothing.
func writeBackup(ctx context.Context, s *command.Shell, c *client.Client, file string, force bool) (info *warrenv1.BackupInfo, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	var doing atomic.Value
	doing.Store("Backing up the cluster")
	err = s.WaitWith(ctx, func() string { return doing.Load().(string) }, func(ctx context.Context) error {
		backup, err := c.Backup(ctx)
		if err != nil {
			return err
		}
		info = backup.Info
		doing.Store(fmt.Sprintf("Backing up the cluster (%s)", spec.FormatSize(info.GetSize())))
		return bundle.Write(f, info, backup)
	})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if force {
		return info, os.Rename(f.Name(), file)
	}
	err = os.Link(f.Name(), file) // fails when somebody else has written it meanwhile
	if errors.Is(err, os.ErrExist) {
		return nil, absentBackup(file)
	}
	return info, err
}
