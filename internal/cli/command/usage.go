package command

import (
	"fmt"
	"strings"

	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// Usage says that a command was typed wrongly. The hint is what to type
// instead; the command's own example, when there is none.
type Usage struct {
	Message string
	Hint    string
}

func (u *Usage) Error() string { return u.Message }

// Usagef makes a *Usage with cmd's first example as its hint.
func Usagef(cmd *cobra.Command, format string, args ...any) error {
	return &Usage{Message: fmt.Sprintf(format, args...), Hint: firstExample(cmd)}
}

// firstExample is the first command line of a verb's examples, continued
// lines included.
func firstExample(cmd *cobra.Command) string {
	var lines []string
	for line := range strings.Lines(cmd.Example) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		lines = append(lines, strings.TrimSpace(strings.TrimSuffix(line, `\`)))
		if !strings.HasSuffix(line, `\`) {
			break
		}
	}
	if len(lines) == 0 {
		return cmd.CommandPath() + " --help"
	}
	return strings.Join(lines, " ")
}

// Names asks for a number of names: at least min, and at most max unless that
// is 0.
func Names(noun string, min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < min && noun == "":
			return Usagef(cmd, "%q needs %d arguments", cmd.CommandPath(), min)
		case len(args) < min:
			return Usagef(cmd, "%q needs the name of a %s", cmd.CommandPath(), noun)
		case len(args) > max && max == 0 && min == 0:
			return Usagef(cmd, "%q takes no arguments, and %q is one", cmd.CommandPath(), args[0])
		case len(args) > max && max > 0:
			return Usagef(cmd, "%q does not know what to do with %q", cmd.CommandPath(), args[max])
		}
		for _, arg := range args {
			if arg == "" {
				return Usagef(cmd, "the name of a %s is empty", noun)
			}
		}
		return nil
	}
}

// Group is a command that only holds others.
func Group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown(cmd, args[0])
		},
	}
	g.AddCommand(verbs...)
	return g
}

func unknown(cmd *cobra.Command, word string) error {
	u := &Usage{
		Message: fmt.Sprintf("%q has no command %q", cmd.CommandPath(), word),
		Hint:    cmd.CommandPath() + " --help",
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(append(known, c.Name()), c.Aliases...)
		}
	}
	if near, found := spec.Nearest(word, known); found {
		u.Hint = cmd.CommandPath() + " " + near
	}
	return u
}
