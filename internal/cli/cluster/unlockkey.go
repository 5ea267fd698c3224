package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/spf13/cobra"
)

func newUnlockKey(s *command.Shell) *cobra.Command {
	var (
		file    string
		rotate  bool
		confirm command.Confirmation
	)
	cmd := &cobra.Command{
		Use:   "unlock-key",
		Short: "Show the key without which no backup opens, or replace it",
		Long: `Show the unlock key on a terminal, or write it to a file that only its owner can
read. Without it the database and its backups open for nobody. The cluster notes
that somebody has it.

With --rotate a new one is made here, and shown or written before the cluster
takes it. The key that seals secrets is replaced with it; afterwards the old
unlock key opens nothing on any manager. It still opens the backups that were
made before.`,
		Example: `  warren cluster unlock-key
  warren cluster unlock-key --output /run/media/usb/unlock.key
  warren cluster unlock-key --rotate`,
		Args: command.Names("", 0, 0),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" && !command.Terminal(s.Out) {
			return command.Usagef(cmd, "the unlock key is shown on a terminal only: write it to a file with --output FILE")
		}
		if rotate {
			if err := confirm.Ask(cmd.Context(), s, "Replace the unlock key? Backups made until now still need the present one."); err != nil {
				return err
			}
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			if rotate {
				return rotateUnlockKey(ctx, s, c, file)
			}
			return exportUnlockKey(ctx, s, c, file)
		})(cmd, args)
	}
	cmd.Flags().StringVar(&file, "output", "", "write it to `FILE`, which must not exist")
	cmd.Flags().BoolVar(&rotate, "rotate", false, "replace it, and the key that seals secrets")
	confirm.Bind(cmd.Flags())
	return cmd
}

func exportUnlockKey(ctx context.Context, s *command.Shell, c *client.Client, file string) error {
	if err := absent(file); err != nil {
		return err
	}
	var key seal.UnlockKey
	err := s.Wait(ctx, "Fetching the unlock key", func(ctx context.Context) (err error) {
		key, err = c.UnlockKey(ctx)
		return err
	})
	if err != nil {
		return err
	}
	defer key.Destroy()
	return hand(s, key, file)
}

// rotateUnlockKey makes the next key and puts it where the person has it; only
// then the cluster gets it.
func rotateUnlockKey(ctx context.Context, s *command.Shell, c *client.Client, file string) error {
	if last, err := c.Keys.GetRotation(ctx, &warrenv1.GetRotationRequest{}); err != nil {
		return err
	} else if last.GetNumber() > 0 && last.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_DONE {
		return &client.Error{Message: "a rotation is under way already", Hint: "warren cluster rotate-keys --watch"}
	}
	next, err := seal.NewUnlockKey(rand.Reader)
	if err != nil {
		return err
	}
	defer next.Destroy()
	if err := hand(s, next, file); err != nil {
		return err
	}
	rotation, err := c.RotateUnlockKey(ctx, next)
	if err == nil {
		rotation, err = follow(ctx, s, c, rotation)
	}
	if err != nil {
		fmt.Fprintf(s.Err, "Keep the present unlock key as well: `warren cluster info` shows the fingerprint of the one that counts. The new one's is %s.\n", next.Fingerprint())
		return err
	}
	fmt.Fprintf(s.Err, "From now on unlock key %s is needed; the earlier one opens nothing but earlier backups.\n", next.Fingerprint())
	return showRotation(s, command.Table, rotation)
}

// hand gives an unlock key to the person.
func hand(s *command.Shell, key seal.UnlockKey, file string) error {
	if file == "" {
		fmt.Fprintf(s.Out, "%s\n", key.Reveal())
		fmt.Fprintf(s.Err, "Its fingerprint is %s. Keep it somewhere else than on the managers.\n", key.Fingerprint())
		return nil
	}
	if err := absent(file); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(key.Reveal() + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	fmt.Fprintf(s.Out, "Unlock key %s is in %s\n", key.Fingerprint(), file)
	return nil
}

// absent refuses a file that exists: it may be the only copy of another key.
func absent(file string) error {
	if file == "" {
		return nil
	}
	if _, err := os.Lstat(file); err == nil {
		return &client.Error{Code: client.Exists, Message: fmt.Sprintf("%s exists: it may be the only copy of a key", file), Hint: "name another file with --output"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
