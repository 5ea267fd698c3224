// Package task has the verbs of `warren task`.
package task

import (
	"context"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// New makes `warren task`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("task", "Look at tasks: the pieces of services, each on its node",
		newList(s), newInspect(s))
}

// Noun is how tasks are fetched and shown. Its List has the tasks that are not
// over.
var Noun = command.Noun[view.Task]{
	Kind: spec.KindTask,
	ID:   func(v view.Task) string { return v.ID },
	Name: func(v view.Task) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Task, error) {
		return list(ctx, c, &warrenv1.ListTasksRequest{Filter: &warrenv1.Filter{Labels: labels}})
	},
	Get: func(ctx context.Context, c *client.Client, ref string) (view.Task, error) {
		v, err := c.Tasks.GetTask(ctx, &warrenv1.Ref{NameOrId: ref})
		return view.NewTask(v), err
	},
	Columns: append([]command.Column[view.Task]{
		command.Text("NAME", func(v view.Task) string { return v.Name }),
		command.Text("SERVICE", func(v view.Task) string { return v.Service }),
		command.Text("STATE", func(v view.Task) string { return v.State }),
		command.Text("HEALTH", func(v view.Task) string { return v.Health }),
		command.Text("NODE", func(v view.Task) string { return v.Node }),
		command.Age("CREATED", func(v view.Task) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("ID", func(v view.Task) string { return v.ID }),
		command.Text("IMAGE", func(v view.Task) string { return v.Image }),
		command.Text("ADDRESS", func(v view.Task) string { return v.Address }),
		command.Text("RESTARTS", func(v view.Task) string { return fmt.Sprint(v.Restarts) }),
		command.Text("LAST EXIT", view.Task.Exit),
		command.Text("MESSAGE", func(v view.Task) string { return v.Message }),
	)...),
	Sheet: sheet,
}

func list(ctx context.Context, c *client.Client, r *warrenv1.ListTasksRequest) ([]view.Task, error) {
	answer, err := c.Tasks.ListTasks(ctx, r)
	return view.All(answer.GetTasks(), view.NewTask), err
}

func sheet(s *command.Sheet, v view.Task) {
	s.Field("Name", v.Name)
	s.Field("ID", v.ID)
	s.Field("Service", v.Service)
	s.Fieldf("Slot", "%d", v.Slot)
	s.Field("Node", v.Node)
	s.Field("State", v.State)
	s.Some("Message", v.Message)
	s.Some("Health", v.Health)
	s.Some("Health Message", v.HealthMessage)
	s.Field("Image", v.Image)
	s.Some("Image Digest", v.ImageDigest)
	s.Some("Command", command.Quote(v.Args))
	s.Field("Network", v.Network)
	s.Field("Address", v.Address)
	s.List("Volumes", view.Strings(v.Volumes))
	s.List("Secrets", view.Strings(v.Secrets))
	s.Fieldf("Restarts", "%d", v.Restarts)
	s.Some("Last Exit", v.Exit())
	s.Time("Created", v.CreatedAt)
	s.Time("Started", v.StartedAt)
	s.Time("Finished", v.FinishedAt)
	if s.Wide() {
		s.Fieldf("Incarnation", "%d", v.Incarnation)
		s.Field("Desired", v.Desired)
		s.Time("State Since", v.StateSince)
		s.Pairs("Labels", v.Labels)
	}
}
