package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/spf13/cobra"
)

// maxUnlockKey is more than any unlock key has bytes.
const maxUnlockKey = 4096

func newUnlock(s *command.Shell) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Give a sealed manager the unlock key",
		Long: `Give a manager the unlock key of a cluster that locks itself. Until then it keeps
the state and takes part in decisions, but opens no secret and does not lead.

The key is asked for at the terminal, or read from --key-file or standard input;
it is sealed to that one manager before it leaves this program. Each manager that
was started again has to be unlocked.`,
		Example: `  warren cluster unlock
  warren cluster unlock --manager 10.0.0.2:8080
  warren cluster unlock --key-file /run/media/usb/unlock.key`,
		Args: command.Names("", 0, 0),
	}
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		state, err := c.Keys.GetKeyState(ctx, &warrenv1.GetKeyStateRequest{})
		if err != nil {
			return err
		}
		if !state.GetSealed() {
			fmt.Fprintf(s.Out, "Manager %s is not sealed\n", state.GetNodeName())
			return nil
		}
		key, err := readUnlockKey(s, file, fmt.Sprintf("Unlock key %s: ", state.GetUnlockKeyFingerprint()))
		if err != nil {
			return err
		}
		defer key.Destroy()
		err = s.Wait(ctx, "Unlocking "+state.GetNodeName(), func(ctx context.Context) error {
			_, err := c.Unlock(ctx, key)
			return err
		})
		if err == nil {
			fmt.Fprintf(s.Out, "Manager %s is unlocked\n", state.GetNodeName())
		}
		return err
	})
	cmd.Flags().StringVar(&file, "key-file", "", "`PATH` of a file with the unlock key, - for standard input")
	return cmd
}

// readUnlockKey reads an unlock key from a file, from a terminal, or from
// standard input; the caller destroys it.
func readUnlockKey(s *command.Shell, file, prompt string) (key seal.UnlockKey, err error) {
	var text []byte
	switch {
	case file != "" && file != "-":
		text, err = readLimited(file)
	case file == "" && command.Terminal(s.In):
		text, err = s.AskSecret(prompt)
	default:
		text, err = io.ReadAll(io.LimitReader(s.In, maxUnlockKey))
	}
	defer clear(text)
	if err != nil {
		return key, fmt.Errorf("read the unlock key: %w", err)
	}
	if key, err = seal.ParseUnlockKey(strings.TrimSpace(string(text))); err != nil {
		return key, &client.Error{Code: client.Invalid, Message: err.Error(), Hint: "give the whole key, as it was shown: wrn-unlock-…"}
	}
	return key, nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxUnlockKey))
}
