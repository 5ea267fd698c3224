package node

import (
	"context"
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newLabel(s *command.Shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "label NAME KEY=VALUE... KEY-...",
		Short: "Set labels of a node, and with KEY- remove them",
		Long: `Set labels of a node, and with KEY- remove them. Services choose nodes by them:
--constraint node.labels.zone==a.`,
		Example: `  warren node label worker-1 zone=a disk=ssd
  warren node label worker-1 disk-`,
		Args: command.Names(spec.KindNode, 2, 0),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &warrenv1.UpdateNodeRequest{Ref: &warrenv1.Ref{NameOrId: args[0]}}
		var set []string
		for _, arg := range args[1:] {
			if key, remove := strings.CutSuffix(arg, "-"); remove && !strings.Contains(arg, "=") {
				r.RemoveLabels = append(r.RemoveLabels, key)
			} else {
				set = append(set, arg)
			}
		}
		var err error
		if r.SetLabels, err = spec.ParseLabels(set); err != nil {
			return err
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			n, err := c.Nodes.UpdateNode(ctx, r)
			if err != nil {
				return err
			}
			if *format != command.Table {
				return command.ShowOne(s, Noun, *format, view.NewNode(n))
			}
			_, err = fmt.Fprintf(s.Out, "Node %s labelled: %s\n", n.GetMeta().GetName(), command.Pairs(n.GetMeta().GetLabels()))
			return err
		})(cmd, args)
	}
	return cmd
}
