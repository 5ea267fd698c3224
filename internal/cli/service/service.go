// Package service has the verbs of `warren service`.
package service

import (
	"context"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// New makes `warren service`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("service", "Manage services: what should run, and how often",
		newCreate(s), newList(s), newInspect(s), newPs(s), newUpdate(s), newRollback(s), newHistory(s), newWait(s),
		newScale(s), newStop(s), newStart(s), newDelete(s), newLogs(s))
}

// Noun is how services are fetched and shown.
var Noun = command.Noun[view.Service]{
	Kind: spec.KindService,
	ID:   func(v view.Service) string { return v.ID },
	Name: func(v view.Service) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Service, error) {
		r, err := c.Services.ListServices(ctx, &warrenv1.Filter{Labels: labels})
		return view.All(r.GetServices(), view.NewService), err
	},
	Get: func(ctx context.Context, c *client.Client, ref string) (view.Service, error) {
		v, err := c.Services.GetService(ctx, &warrenv1.Ref{NameOrId: ref})
		return view.NewService(v), err
	},
	Columns: append([]command.Column[view.Service]{
		command.Text("NAME", func(v view.Service) string { return v.Name }),
		command.Text("IMAGE", func(v view.Service) string { return v.Image }),
		command.Text("REPLICAS", func(v view.Service) string { return v.Ratio() }),
		command.Text("STATE", func(v view.Service) string { return v.State }),
		command.Text("HEALTH", func(v view.Service) string { return v.Health }),
		command.Age("CREATED", func(v view.Service) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("ID", func(v view.Service) string { return v.ID }),
		command.Text("UPDATE", func(v view.Service) string { return v.Update.String() }),
		command.Text("NETWORK", func(v view.Service) string { return v.Network }),
		command.Text("PORTS", func(v view.Service) string { return strings.Join(view.Strings(v.Ports), ",") }),
		command.Text("VOLUMES", func(v view.Service) string { return strings.Join(view.Strings(v.Volumes), ",") }),
		command.Text("SECRETS", func(v view.Service) string {
			return strings.Join(view.All(v.Secrets, func(m view.SecretMount) string { return m.Secret }), ",")
		}),
		command.Text("LABELS", func(v view.Service) string { return command.Pairs(v.Labels) }),
	)...),
	Sheet: sheet,
}

func sheet(s *command.Sheet, v view.Service) {
	s.Field("Name", v.Name)
	s.Field("ID", v.ID)
	s.Field("Image", v.Image)
	s.Some("Command", command.Quote(v.Args))
	s.Some("User", v.User)
	s.Field("State", v.State)
	s.Some("Reason", v.Message)
	if v.Mode == "global" {
		s.Fieldf("Nodes", "%s running", v.Ratio())
	} else {
		s.Fieldf("Replicas", "%s running", v.Ratio())
	}
	s.SomeList("Constraints", v.Constraints)
	s.Some("Update", v.Update.String())
	s.Some("Health", v.Health)
	s.Field("Network", v.Network)
	s.SomeList("Ports", view.Strings(v.Ports))
	s.List("Volumes", view.Strings(v.Volumes))
	s.List("Secrets", view.Strings(v.Secrets))
	if v.UnmountSecretsOn != "never" {
		s.Field("Unmount Secrets On", v.UnmountSecretsOn)
	}
	limitSheet(s, v.Container)
	s.SomeList("Env", view.Strings(v.Env))
	s.Pairs("Labels", v.Labels)
	s.List("Tasks", view.Strings(v.Tasks))
	s.SomeList("Warnings", v.Warnings)
	s.Time("Created", v.CreatedAt)
	if s.Wide() {
		s.Fieldf("Stop Timeout", "%gs", v.StopTimeout)
		s.Fieldf("Revision", "%d", v.Revision)
		s.Fieldf("Spec Version", "%d", v.Version)
		s.Field("Update Rules", v.UpdateRules.String())
	}
}

// limitSheet shows how a task is checked and what it may use and do, where that
// is not what every task has.
func limitSheet(s *command.Sheet, c view.Container) {
	if c.HealthCheck != nil {
		s.Field("Health Check", c.HealthCheck.String())
	}
	if s.Wide() || c.Limits.CPULimit != 0 || c.Limits.MemoryLimit != 0 || c.Limits.PidsLimit != spec.DefaultPidsLimit {
		s.SomeList("Limits", c.Limits.Strings())
	}
	s.SomeList("I/O Limits", c.IOLimits())
	s.SomeList("Reserved", c.Limits.Reserved())
	if s.Wide() || c.Restart != "any" {
		s.Field("Restart Policy", c.Restart)
	}
	if c.ReadOnly {
		s.Field("Root Filesystem", "read-only")
	}
	s.SomeList("Capabilities Added", c.CapAdd)
	s.SomeList("Capabilities Dropped", c.CapDrop)
}
