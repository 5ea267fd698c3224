package secret

import (
	"context"
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newPrune(s *command.Shell) *cobra.Command {
	var keep uint32
	cmd := command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Drop old versions of secrets",
			Long: `Drop old versions of secrets. The newest ones remain, and of the others those
that a task has or that the spec of a service names. What is dropped cannot be
rolled back to.`,
			Example: `  warren secret prune db-password
  warren secret prune db-password --keep 3`,
		},
		Verb: "prune", Doing: "Pruning",
		Question: func(names string) string { return fmt.Sprintf("Drop old versions of secret %s?", names) },
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			r, err := c.Secrets.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: &warrenv1.Ref{NameOrId: name}, Keep: keep})
			return pruned(r), err
		},
	})
	act := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("keep") {
			if err := spec.KeepVersions(args[0], keep); err != nil {
				return err
			}
		}
		return act(cmd, args)
	}
	cmd.Flags().Uint32Var(&keep, "keep", 0, "`NUMBER` of newest versions to keep (default: as the secret has it, 10)")
	return cmd
}

// pruned says what was dropped, and what had to stay.
func pruned(r *warrenv1.PruneSecretResponse) string {
	text := fmt.Sprintf("Secret %s: %d versions dropped, %d left", r.GetSecret().GetMeta().GetName(), len(r.GetDropped()), len(r.GetSecret().GetVersions()))
	var stay []string
	for _, v := range r.GetInUse() {
		var names []string
		for _, u := range v.GetUsedBy() {
			names = append(names, fmt.Sprintf("%s (%s)", u.GetName(), u.GetKind()))
		}
		stay = append(stay, fmt.Sprintf("%d by %s", v.GetVersion(), strings.Join(names, ", ")))
	}
	return command.WithEffects(text, "in use: version %s", stay)
}
