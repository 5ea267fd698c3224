package node

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newPromote(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Make workers managers too",
			Long: `Make workers managers too: they get the cluster's state and a vote. Their
containers go on. Each must be reachable for the others at its address, as
warren node list shows it.`,
			Example: `  warren node promote worker-1 worker-2`,
		},
		Verb: "promote", Doing: "Promoting",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			n, err := setManager(ctx, c, name, true)
			return fmt.Sprintf("Node %s is a manager", n.GetMeta().GetName()), err
		},
	})
}

func newDemote(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Make managers that run containers workers only",
			Long: `Make managers that run containers workers only. Their containers go on. The last
manager is refused, and one without which the others would have no majority.`,
			Example: `  warren node demote worker-1`,
		},
		Verb: "demote", Doing: "Demoting",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			n, err := setManager(ctx, c, name, false)
			return fmt.Sprintf("Node %s is a manager no longer", n.GetMeta().GetName()), err
		},
	})
}

func setManager(ctx context.Context, c *client.Client, name string, to bool) (*warrenv1.Node, error) {
	return c.Nodes.UpdateNode(ctx, &warrenv1.UpdateNodeRequest{Ref: &warrenv1.Ref{NameOrId: name}, Manager: &to})
}
