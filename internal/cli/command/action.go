package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

// Action is a verb that is done to each of the named objects, one after the
// other; one that fails does not keep it from the rest.
type Action struct {
	Doc
	// Verb is what is typed: "delete"; Doing is it in progress: "Deleting".
	Verb, Doing string
	// Question asks a person at a terminal first; it gets the quoted names. No
	// question when nil.
	Question func(names string) string
	// Do acts on one object and says what it did: "Volume db-data deleted".
	Do func(ctx context.Context, c *client.Client, name string) (done string, err error)
}

// NewAction makes the verb of an action.
func NewAction[V any](s *Shell, n Noun[V], a Action) *cobra.Command {
	var confirm Confirmation
	cmd := a.apply(&cobra.Command{
		Use:               a.Verb + " NAME...",
		Args:              Names(n.Kind, 1, 0),
		ValidArgsFunction: Complete(s, n, true),
	})
	if a.Verb == "delete" {
		cmd.Aliases = []string{"rm"}
	}
	if a.Question != nil {
		confirm.Bind(cmd.Flags())
	}
	act := s.Calling(func(ctx context.Context, c *client.Client, names []string) error {
		var failed []error
		for _, name := range names {
			if err := a.one(ctx, s, c, n.Kind, name); err != nil {
				failed = append(failed, err)
			}
			if ctx.Err() != nil {
				break
			}
		}
		return errors.Join(failed...)
	})
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if a.Question != nil {
			if err := confirm.Ask(cmd.Context(), s, a.Question(quoted(names))); err != nil {
				return err
			}
		}
		return act(cmd, names)
	}
	return cmd
}

func (a Action) one(ctx context.Context, s *Shell, c *client.Client, kind, name string) error {
	var done string
	err := s.Wait(ctx, fmt.Sprintf("%s %s %s", a.Doing, kind, name), func(ctx context.Context) (err error) {
		done, err = a.Do(ctx, c, name)
		return err
	})
	if err == nil {
		fmt.Fprintln(s.Out, done)
	}
	return err
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(list, ", ")
}
