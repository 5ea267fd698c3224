// Package node has the verbs of `warren node`.
package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// New makes `warren node`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("node", "The machines of the cluster",
		newList(s), newInspect(s), newLabel(s), newDrain(s), newActivate(s), newPromote(s), newDemote(s), newRemove(s))
}

// Noun is how nodes are fetched and shown.
var Noun = command.Noun[view.Node]{
	Kind: spec.KindNode,
	ID:   func(v view.Node) string { return v.ID },
	Name: func(v view.Node) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Node, error) {
		r, err := c.Nodes.ListNodes(ctx, &warrenv1.Filter{Labels: labels})
		return view.All(r.GetNodes(), view.NewNode), err
	},
	Get: func(ctx context.Context, c *client.Client, ref string) (view.Node, error) {
		v, err := c.Nodes.GetNode(ctx, &warrenv1.Ref{NameOrId: ref})
		return view.NewNode(v), err
	},
	Columns: append([]command.Column[view.Node]{
		command.Text("NAME", func(v view.Node) string { return v.Name }),
		command.Text("ROLES", func(v view.Node) string { return strings.Join(v.Roles, ",") }),
		command.Text("STATE", state),
		command.Text("MANAGER", func(v view.Node) string { return v.Manager }),
		command.Text("ADDRESS", func(v view.Node) string { return v.Address }),
		command.Age("CREATED", func(v view.Node) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("ID", func(v view.Node) string { return v.ID }),
		command.Text("CPUS", func(v view.Node) string { return fmt.Sprint(v.CPUs) }),
		command.Text("MEMORY", func(v view.Node) string { return spec.FormatSize(v.Memory) }),
		command.Text("DISK FREE", func(v view.Node) string { return spec.FormatSize(v.DiskFree) }),
		command.Text("VERSION", func(v view.Node) string { return v.Version }),
		command.Text("LABELS", func(v view.Node) string { return command.Pairs(v.Labels) }),
	)...),
	Sheet: sheet,
}

// state is the node's, and that it is drained, if it is.
func state(v view.Node) string {
	if v.Availability == "active" {
		return v.State
	}
	return v.State + "," + v.Availability
}

func sheet(s *command.Sheet, v view.Node) {
	s.Field("Name", v.Name)
	s.Field("ID", v.ID)
	s.Field("Roles", strings.Join(v.Roles, ", "))
	s.Some("Manager", v.Manager)
	s.Field("State", v.State)
	s.Field("Availability", v.Availability)
	s.Some("Message", v.Message)
	s.Field("Hostname", v.Hostname)
	s.Field("Address", v.Address)
	s.Fieldf("CPUs", "%d", v.CPUs)
	s.Field("Memory", spec.FormatSizeLong(v.Memory))
	s.Fieldf("Disk", "%s, %s free", spec.FormatSizeLong(v.Disk), spec.FormatSizeLong(v.DiskFree))
	s.Field("Kernel", v.Kernel)
	s.Field("Architecture", v.Architecture)
	s.Field("Warren Version", v.Version)
	s.Pairs("Labels", v.Labels)
	s.Time("Created", v.CreatedAt)
	if s.Wide() {
		s.Time("State Since", v.StateSince)
	}
}
