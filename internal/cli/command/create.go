package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Created is how a verb that makes or changes one object shows it: one line
// for a person, the ID alone with -q, the whole object with -o.
type Created[V any] struct {
	noun   Noun[V]
	format *Format
	quiet  bool
}

// NewCreated adds -q and -o to a verb.
func NewCreated[V any](cmd *cobra.Command, n Noun[V]) *Created[V] {
	c := &Created[V]{noun: n, format: BindFormat(cmd)}
	cmd.Flags().BoolVarP(&c.quiet, "quiet", "q", false, "print the ID only")
	return c
}

// ForPeople tells whether a person reads what it shows.
func (c *Created[V]) ForPeople() bool { return !c.quiet && !c.format.forProgram() }

// Show shows the object; done says what happened to it: "created".
func (c *Created[V]) Show(s *Shell, v V, done string) error {
	switch {
	case c.quiet:
		_, err := fmt.Fprintln(s.Out, c.noun.ID(v))
		return err
	case *c.format != Table:
		return ShowOne(s, c.noun, *c.format, v)
	}
	_, err := fmt.Fprintf(s.Out, "%s %s %s (ID %s)\n", Title(c.noun.Kind), c.noun.Name(v), done, c.noun.ID(v))
	return err
}

// Warn shows what a person should know although all went well.
func (s *Shell) Warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(s.Err, "Warning: %s\n", Visible(w))
	}
}

// Title begins a noun with a capital, as a sentence does.
func Title(kind string) string {
	return strings.ToUpper(kind[:1]) + kind[1:]
}
