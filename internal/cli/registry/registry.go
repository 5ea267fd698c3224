// Package registry has the verbs of `warren registry`.
package registry

import (
	"context"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// New makes `warren registry`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("registry", "Manage how image registries are spoken to",
		newLogin(s), newLogout(s), newList(s))
}

// Noun is how registries are fetched and shown. They have no labels, and their
// host is their ID.
var Noun = command.Noun[view.Registry]{
	Kind: spec.KindRegistry,
	ID:   host,
	Name: host,
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Registry, error) {
		r, err := c.Images.ListRegistries(ctx, &warrenv1.ListRegistriesRequest{})
		return slices.DeleteFunc(view.All(r.GetRegistries(), view.NewRegistry), func(view.Registry) bool {
			return !spec.MatchLabels(nil, labels)
		}), err
	},
	Columns: []command.Column[view.Registry]{
		command.Text("HOST", host),
		command.Text("USERNAME", func(v view.Registry) string { return v.Username }),
		command.Text("TRANSPORT", view.Registry.Transport),
		command.Age("UPDATED", func(v view.Registry) time.Time { return v.UpdatedAt }),
	},
}

func host(v view.Registry) string { return v.Host }
