package secret

import (
	"context"
	"fmt"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newRollback(s *command.Shell) *cobra.Command {
	var to uint64
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Give a secret the value of an earlier version again",
		Long: `Give a secret the value of an earlier version again: of the one before the
newest, or of the one that is named. It becomes a new version, and tasks do with
it what they do with any new one.`,
		Example: `  warren secret rollback db-password
  warren secret rollback db-password --to 3`,
		Args:              command.Names(spec.KindSecret, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	shown := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("to") && to == 0 {
			return command.Usagef(cmd, "there is no version 0: they count from 1")
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			var answer *warrenv1.UpdateSecretResponse
			err := s.Wait(ctx, "Rolling back secret "+args[0], func(ctx context.Context) (err error) {
				answer, err = c.Secrets.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: &warrenv1.Ref{NameOrId: args[0]}, Version: to})
				return err
			})
			if err != nil {
				return err
			}
			s.Warn(answer.GetWarnings())
			newest := spec.NewestVersion(answer.GetSecret())
			return shown.Show(s, view.NewSecret(answer.GetSecret()),
				fmt.Sprintf("rolled back: version %d has the value of version %d", newest.GetNumber(), newest.GetCopyOf()))
		})(cmd, args)
	}
	cmd.Flags().Uint64Var(&to, "to", 0, "`VERSION` whose value it gets, as secret versions shows them (default: the one before)")
	_ = cmd.RegisterFlagCompletionFunc("to", func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return earlierVersions(cmd.Context(), s, args), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	})
	return cmd
}

// earlierVersions are the numbers that a person may go back to, newest first.
func earlierVersions(ctx context.Context, s *command.Shell, args []string) (numbers []string) {
	if len(args) == 0 {
		return nil
	}
	secret, ok := command.Peek(ctx, s, Noun, args[0])
	if !ok {
		return nil
	}
	for _, v := range slices.Backward(secret.Versions) {
		if v.Number != secret.Version {
			numbers = append(numbers, fmt.Sprint(v.Number))
		}
	}
	return numbers
}
