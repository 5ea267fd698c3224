package volume

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
			Short: "Delete volumes and what is in them",
			Long: `Delete volumes and what is in them. A volume in use is not deleted.

--force stops the services that use it first. They remain, marked stopped.`,
			Example: `  warren volume delete db-data
  warren volume delete db-data --force`,
		},
		Verb: "delete", Doing: "Deleting",
		Question: func(names string) string {
			return fmt.Sprintf("Delete volume %s and all its data?", names)
		},
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			r, err := c.Volumes.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: &warrenv1.Ref{NameOrId: name}, Force: force})
			done := fmt.Sprintf("Volume %s deleted", r.GetVolume().GetMeta().GetName())
			return command.WithEffects(done, "Service %s stopped", r.GetStoppedServices()), err
		},
	})
	cmd.Flags().BoolVar(&force, "force", false, "stop the services that use it first")
	return cmd
}
