package node

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newRemove(s *command.Shell) *cobra.Command {
	var force bool
	cmd := command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Take nodes out of the cluster",
			Long: `Take nodes out of the cluster. From then on a node's certificate is worth
nothing; if it is up, it stops its containers and keeps the data of volumes.

A node that runs tasks is to be drained first. One that has the data of volumes
is refused and the volumes are named: with --force the cluster gives them up.`,
			Example: `  warren node drain worker-3 && warren node remove worker-3
  warren node remove worker-3 --force`,
		},
		Verb: "remove", Doing: "Removing",
		Question: func(names string) string { return fmt.Sprintf("Take node %s out of the cluster?", names) },
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			r, err := c.Nodes.RemoveNode(ctx, &warrenv1.RemoveNodeRequest{Ref: &warrenv1.Ref{NameOrId: name}, Force: force})
			done := fmt.Sprintf("Node %s removed", r.GetNode().GetMeta().GetName())
			return command.WithEffects(done, "Volume %s given up", r.GetLostVolumes()), err
		},
	})
	cmd.Flags().BoolVar(&force, "force", false, "although it is up, or volumes are lost with it")
	return cmd
}
