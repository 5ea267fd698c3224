package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newRotateKeys(s *command.Shell) *cobra.Command {
	var detach, watch bool
	cmd := &cobra.Command{
		Use:   "rotate-keys",
		Short: "Replace the key that seals secrets",
		Long: `Replace the data key that seals secrets, and seal all of them again. Secrets can
be read and written throughout. The rotation goes on by itself, also when the
command is interrupted or the leading manager is lost.

The unlock key stays as it is; "warren cluster unlock-key --rotate" replaces
both. To rotate regularly: "warren cluster update --rotate-every 720h".`,
		Example: `  warren cluster rotate-keys
  warren cluster rotate-keys --detach
  warren cluster rotate-keys --watch`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if detach && watch {
			return command.Usagef(cmd, "--watch waits and --detach does not: give one of them")
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			var last *warrenv1.Rotation
			err := s.Wait(ctx, "Asking for a rotation", func(ctx context.Context) (err error) {
				if watch {
					last, err = c.Keys.GetRotation(ctx, &warrenv1.GetRotationRequest{})
				} else {
					last, err = c.Keys.RotateKeys(ctx, &warrenv1.RotateKeysRequest{})
				}
				return err
			})
			if err == nil && !detach {
				last, err = follow(ctx, s, c, last)
			}
			if err != nil {
				return err
			}
			return showRotation(s, *format, last)
		})(cmd, args)
	}
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait until it is done")
	cmd.Flags().BoolVar(&watch, "watch", false, "begin none, but wait for the one that is under way")
	return cmd
}

// followPause is how often a rotation is looked at.
const followPause = 150 * time.Millisecond

// follow waits until a rotation is over, and shows how far it is.
func follow(ctx context.Context, s *command.Shell, c *client.Client, r *warrenv1.Rotation) (*warrenv1.Rotation, error) {
	var doing atomic.Value
	doing.Store(progress(r))
	err := s.WaitWith(ctx, func() string { return doing.Load().(string) }, func(ctx context.Context) (err error) {
		for r.GetNumber() > 0 && r.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_DONE {
			select {
			case <-time.After(followPause):
			case <-ctx.Done():
				return ctx.Err()
			}
			if r, err = c.Keys.GetRotation(ctx, &warrenv1.GetRotationRequest{}); err != nil {
				return err
			}
			doing.Store(progress(r))
		}
		return nil
	})
	return r, err
}

// progress says in a few words how far a rotation is.
func progress(r *warrenv1.Rotation) string {
	if r.GetMessage() != "" {
		return "Rotating keys: " + r.GetMessage()
	}
	switch r.GetPhase() {
	case warrenv1.RotationPhase_ROTATION_PHASE_RESEALING:
		return fmt.Sprintf("Rotating keys: %d of %d values are sealed again", r.GetDone(), r.GetTotal())
	case warrenv1.RotationPhase_ROTATION_PHASE_HANDING_OUT:
		return "Rotating keys: retiring the old ones"
	}
	return "Rotating keys"
}

var rotationNoun = command.Noun[view.Rotation]{
	Kind: "rotation",
	Sheet: func(s *command.Sheet, v view.Rotation) {
		s.Fieldf("Rotation", "%d", v.Number)
		s.Field("State", v.Phase)
		s.Field("Reason", v.Reason)
		s.Fieldf("Values", "%d of %d", v.Done, v.Total)
		s.Some("Key", v.KeyID)
		s.Some("Next Unlock Key Fingerprint", v.NextUnlockKeyFingerprint)
		s.Some("Waiting For", v.Message)
		s.SomeList("Unreadable", v.Unreadable)
		s.Time("Started", v.StartedAt)
		s.Time("Finished", v.FinishedAt)
	},
}

func showRotation(s *command.Shell, format command.Format, r *warrenv1.Rotation) error {
	if format != command.Table {
		return command.ShowOne(s, rotationNoun, format, view.NewRotation(r))
	}
	switch {
	case r.GetNumber() == 0:
		fmt.Fprintln(s.Out, "The keys were never rotated")
	case r.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_DONE:
		fmt.Fprintln(s.Out, "The rotation goes on; warren cluster rotate-keys --watch shows how far it is")
	default:
		fmt.Fprintf(s.Out, "Rotated: %d values are sealed with key %s\n", r.GetDone(), r.GetKeyId())
	}
	if lost := r.GetUnreadable(); len(lost) > 0 {
		fmt.Fprintf(s.Err, "These did not open, and cannot be read: %s\n", strings.Join(lost, ", "))
	}
	return nil
}
