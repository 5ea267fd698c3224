// Package command is the one mechanism behind every verb of the command line:
// how a manager is reached, how lists, objects, errors and progress are shown,
// when a question is asked, what the exit code is. The packages of the nouns
// only say what is theirs: a noun's columns and fields, a verb's call.
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Shell is what surrounds one run of warren.
type Shell struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Now tells ages; Zone is in which times are shown.
	Now  func() time.Time
	Zone *time.Location
	// Manager is what --manager or $WARREN_MANAGER says; may be empty.
	Manager string
	// Stale is what --stale says.
	Stale bool
	// Namespace is what --namespace or $WARREN_NAMESPACE says; may be empty.
	Namespace string
}

// NewShell returns the shell of this process.
func NewShell() *Shell {
	return &Shell{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Zone: time.Local}
}

// Call is what a verb does with a manager.
type Call func(ctx context.Context, c *client.Client, args []string) error

// Calling makes a verb of a call: it connects first and hangs up at the end.
func (s *Shell) Calling(do Call) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		c, err := s.dial(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := do(ctx, c, args); err != nil {
			return err
		}
		s.renew(ctx, c)
		return nil
	}
}

// renew keeps the person's certificate from expiring while it is in use. What
// was asked for is done by now; that this failed is told while there is time.
func (s *Shell) renew(ctx context.Context, c *client.Client) {
	if err := c.RenewCertificate(ctx, "", s.Now()); err != nil && ctx.Err() == nil {
		fmt.Fprintf(s.Err, "Warning: %v\n", err)
	}
}

// Addresses splits what --manager says into single addresses.
func Addresses(manager string) []string {
	return strings.FieldsFunc(manager, func(r rune) bool { return r == ',' || r == ' ' })
}

func (s *Shell) dial(ctx context.Context) (*client.Client, error) {
	var c *client.Client
	err := s.Wait(ctx, "Connecting", func(ctx context.Context) (err error) {
		c, err = client.Dial(ctx, client.Options{Manager: s.Manager, Stale: s.Stale, Namespace: s.Namespace})
		return err
	})
	return c, err
}

// Terminal tells whether a stream is a terminal, where a person sits.
func Terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
