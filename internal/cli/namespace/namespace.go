// Package namespace has the verbs of `warren namespace`.
package namespace

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

// New makes `warren namespace`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("namespace", "Keep things apart: rooms of names, with quotas",
		newCreate(s), newList(s), newInspect(s), newUpdate(s), newDelete(s))
}

// Noun is how namespaces are fetched and shown.
var Noun = command.Noun[view.Namespace]{
	Kind: spec.KindNamespace,
	ID:   func(v view.Namespace) string { return v.Name },
	Name: func(v view.Namespace) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Namespace, error) {
		r, err := c.Spaces.ListNamespaces(ctx, &warrenv1.ListNamespacesRequest{Labels: labels})
		return view.All(r.GetNamespaces(), view.NewNamespace), err
	},
	Get: func(ctx context.Context, c *client.Client, name string) (view.Namespace, error) {
		n, err := c.Spaces.GetNamespace(ctx, &warrenv1.GetNamespaceRequest{Name: name})
		return view.NewNamespace(n), err
	},
	Columns: append([]command.Column[view.Namespace]{
		command.Text("NAME", func(v view.Namespace) string { return v.Name }),
		command.Text("SERVICES", func(v view.Namespace) string { return fmt.Sprint(v.Services) }),
		command.Text("VOLUMES", volumes),
		command.Text("SECRETS", secrets),
		command.Age("CREATED", func(v view.Namespace) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("LABELS", func(v view.Namespace) string { return command.Pairs(v.Labels) }),
	)...),
	Sheet: sheet,
}

// volumes is what the volumes take of what they may.
func volumes(v view.Namespace) string {
	if v.VolumeQuota == 0 {
		return fmt.Sprint(v.Volumes)
	}
	return fmt.Sprintf("%d (%s of %s)", v.Volumes, spec.FormatSize(v.VolumeBytes), spec.FormatSize(v.VolumeQuota))
}

func secrets(v view.Namespace) string {
	if v.SecretQuota == 0 {
		return fmt.Sprint(v.Secrets)
	}
	return fmt.Sprintf("%d of %d", v.Secrets, v.SecretQuota)
}

func sheet(s *command.Sheet, v view.Namespace) {
	s.Field("Name", v.Name)
	s.Fieldf("Services", "%d", v.Services)
	s.Fieldf("Volumes", "%d, of them %d in the trash", v.Volumes, v.Trashed)
	s.Field("Volume Size", used(spec.FormatSizeLong(v.VolumeBytes), spec.FormatSizeLong(v.VolumeQuota), v.VolumeQuota))
	s.Field("Secrets", used(fmt.Sprint(v.Secrets), fmt.Sprint(v.SecretQuota), v.SecretQuota))
	if !v.CreatedAt.IsZero() {
		s.Time("Created", v.CreatedAt)
	}
	s.Pairs("Labels", v.Labels)
}

func used(have, quota string, limit uint64) string {
	if limit == 0 {
		return have + " (no quota)"
	}
	return have + " of " + quota
}
