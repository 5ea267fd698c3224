package volume

import (
	"context"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newDelete(s *command.Shell) *cobra.Command {
	var force, purge bool
	cmd := command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Delete volumes: they wait in the trash for a day",
			Long: `Delete volumes. A volume in use is not deleted.

A deleted volume waits in the trash for 24 hours, or as long as "warren cluster
update --trash-time" says, and "warren volume undelete" takes it out again. When
the disk of its node is full, the one that waits for longest goes early, but none
within its first hour.

--force stops the services that use it first. They remain, marked stopped.
--purge removes the data at once and for good, also of a volume in the trash.`,
			Example: `  warren volume delete db-data
  warren volume delete db-data --force
  warren volume delete db-data --purge`,
		},
		Verb: "delete", Doing: "Deleting",
		Question: func(names string) string {
			if purge {
				return fmt.Sprintf("Delete volume %s and all its data for good?", names)
			}
			return fmt.Sprintf("Delete volume %s?", names)
		},
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			r, err := c.Volumes.DeleteVolume(ctx, &warrenv1.DeleteVolumeRequest{Ref: &warrenv1.Ref{NameOrId: name}, Force: force, Purge: purge})
			done := fmt.Sprintf("Volume %s deleted", r.GetVolume().GetMeta().GetName())
			if v := r.GetVolume(); v.GetPurgeAt() != nil && !v.GetPurge() {
				done += fmt.Sprintf("\nUntil %s, warren volume undelete %s brings it back",
					v.GetPurgeAt().AsTime().In(s.Zone).Format(time.DateTime), v.GetMeta().GetName())
			}
			return command.WithEffects(done, "Service %s stopped", r.GetStoppedServices()), err
		},
	})
	cmd.Flags().BoolVar(&force, "force", false, "stop the services that use it first")
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the data for good instead of moving it to the trash")
	return cmd
}
