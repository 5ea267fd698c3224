package nodeflags

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/spf13/cobra"
)

const maxToken = 4096

// Join runs a node; the token, if there is one, lets it join a cluster first.
type Join func(ctx context.Context, o Options, token string) error

// Token is the flags of verbs that take a join token.
type Token struct{ text, file string }

// Bind adds --token and --token-file to a verb.
func (t *Token) Bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.text, "token", "", "the join `TOKEN`; other users of this machine can see it while the command runs")
	cmd.Flags().StringVar(&t.file, "token-file", "", "`PATH` of a file with the join token, - for standard input")
}

// Read returns the token; empty when none was given.
func (t *Token) Read(cmd *cobra.Command, stdin io.Reader) (string, error) {
	switch {
	case t.file == "":
		return t.text, nil
	case t.text != "":
		return "", command.Usagef(cmd, "--token and --token-file say the same thing: give one of them")
	case t.file == "-":
		text, err := io.ReadAll(io.LimitReader(stdin, maxToken))
		return strings.TrimSpace(string(text)), err
	}
	text, err := os.ReadFile(t.file)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// RunJoining makes a verb of what runs a node that may have to join first. The
// shell's --manager says where.
func RunJoining(s *command.Shell, cmd *cobra.Command, run Join) {
	var token Token
	token.Bind(cmd)
	runNode(cmd, func(ctx context.Context, o Options) error {
		text, err := token.Read(cmd, s.In)
		if err != nil {
			return err
		}
		// A node that has joined remembers where managers are; what a person's
		// environment says is for the commands that ask one.
		if text != "" || cmd.Flags().Changed("manager") {
			o.Managers = command.Addresses(s.Manager)
		}
		return run(ctx, o, text)
	})
}
