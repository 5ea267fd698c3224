package secret

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newDelete(s *command.Shell) *cobra.Command {
	var force bool
	cmd := command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Delete secrets",
			Long: `Delete secrets. A secret in use is not deleted.

--force takes it out of the services that use it; the file is gone from their
running containers at once.`,
			Example: `  warren secret delete db-password
  warren secret delete db-password --force`,
		},
		Verb: "delete", Doing: "Deleting",
		Question: func(names string) string { return fmt.Sprintf("Delete secret %s?", names) },
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			r, err := c.Secrets.DeleteSecret(ctx, &warrenv1.DeleteSecretRequest{Ref: &warrenv1.Ref{NameOrId: name}, Force: force})
			done := fmt.Sprintf("Secret %s deleted", r.GetSecret().GetMeta().GetName())
			return command.WithEffects(done, "Service %s no longer has it", r.GetDetachedServices()), err
		},
	})
	cmd.Flags().BoolVar(&force, "force", false, "take it out of the services that use it")
	return cmd
}
