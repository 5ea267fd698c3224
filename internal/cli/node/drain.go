package node

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newDrain(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short: "Take the tasks off nodes, and give them no new ones",
			Long: `Take the tasks off nodes, and give them no new ones. Tasks are stopped and run
elsewhere; those whose local volumes are on the node wait until it is active
again, since their data is there.`,
			Example: `  warren node drain worker-1`,
		},
		Verb: "drain", Doing: "Draining",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			n, err := setAvailability(ctx, c, name, warrenv1.NodeAvailability_NODE_AVAILABILITY_DRAINED)
			if err != nil {
				return "", err
			}
			waiting, err := tied(ctx, c, n)
			return command.WithEffects(fmt.Sprintf("Node %s is drained", n.GetMeta().GetName()),
				"%s waits for it: a volume of it is there", waiting), err
		},
	})
}

func newActivate(s *command.Shell) *cobra.Command {
	return command.NewAction(s, Noun, command.Action{
		Doc: command.Doc{
			Short:   "Give drained nodes tasks again",
			Example: `  warren node activate worker-1`,
		},
		Verb: "activate", Doing: "Activating",
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			n, err := setAvailability(ctx, c, name, warrenv1.NodeAvailability_NODE_AVAILABILITY_ACTIVE)
			return fmt.Sprintf("Node %s is active", n.GetMeta().GetName()), err
		},
	})
}

func setAvailability(ctx context.Context, c *client.Client, name string, to warrenv1.NodeAvailability) (*warrenv1.Node, error) {
	return c.Nodes.UpdateNode(ctx, &warrenv1.UpdateNodeRequest{Ref: &warrenv1.Ref{NameOrId: name}, Availability: &to})
}

// tied names the tasks of a node that can run nowhere else.
func tied(ctx context.Context, c *client.Client, n *warrenv1.Node) (names []string, err error) {
	volumes, err := c.Volumes.ListVolumes(ctx, &warrenv1.ListVolumesRequest{})
	if err != nil {
		return nil, err
	}
	here := map[string]bool{}
	for _, v := range volumes.GetVolumes() {
		here[v.GetMeta().GetId()] = v.GetNodeId() == n.GetMeta().GetId()
	}
	tasks, err := c.Tasks.ListTasks(ctx, &warrenv1.ListTasksRequest{})
	for _, t := range tasks.GetTasks() {
		for _, pin := range t.GetVolumes() {
			if t.GetNodeId() == n.GetMeta().GetId() && here[pin.GetVolumeId()] {
				names = append(names, t.GetMeta().GetName())
				break
			}
		}
	}
	return names, err
}
