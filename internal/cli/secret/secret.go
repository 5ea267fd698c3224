// Package secret has the verbs of `warren secret`.
package secret

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

// New makes `warren secret`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("secret", "Manage secrets: values that are never on a disk in the clear",
		newCreate(s), newList(s), newInspect(s), newUpdate(s), newVersions(s), newRollback(s), newPrune(s), newExport(s), newImport(s), newDelete(s))
}

// Noun is how secrets are fetched and shown.
var Noun = command.Noun[view.Secret]{
	Kind: spec.KindSecret,
	ID:   func(v view.Secret) string { return v.ID },
	Name: func(v view.Secret) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Secret, error) {
		r, err := c.Secrets.ListSecrets(ctx, &warrenv1.Filter{Labels: labels})
		return view.All(r.GetSecrets(), view.NewSecret), err
	},
	Get: func(ctx context.Context, c *client.Client, ref string) (view.Secret, error) {
		v, err := c.Secrets.GetSecret(ctx, &warrenv1.Ref{NameOrId: ref})
		return view.NewSecret(v), err
	},
	Columns: append([]command.Column[view.Secret]{
		command.Text("NAME", shownName),
		command.Text("SIZE", func(v view.Secret) string { return spec.FormatSize(v.Size) }),
		command.Age("CREATED", func(v view.Secret) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("ID", func(v view.Secret) string { return v.ID }),
		command.Text("VERSION", func(v view.Secret) string { return fmt.Sprint(v.Version) }),
		command.Text("KEYS", func(v view.Secret) string { return strings.Join(v.Keys, ",") }),
		command.Column[view.Secret]{Title: "EXPIRES", Cell: view.Secret.Expires},
		command.Text("LABELS", func(v view.Secret) string { return command.Pairs(v.Labels) }),
	)...),
	Sheet: sheet,
}

// sheet shows no more of a plain secret than the guide does.
// shownName warns of a secret that is not used any more.
func shownName(v view.Secret) string {
	if v.Altered {
		return v.Name + " (altered: not used)"
	}
	return v.Name
}

func sheet(s *command.Sheet, v view.Secret) {
	s.Field("Name", v.Name)
	s.Field("ID", v.ID)
	s.Field("Size", spec.FormatSizeLong(v.Size))
	s.Time("Created", v.CreatedAt)
	if s.Wide() || v.Version > 1 {
		s.Fieldf("Version", "%d, of which %d are kept", v.Version, len(v.Versions))
		s.Time("Updated", v.UpdatedAt)
	}
	s.Some("Expires", v.Expires(s.Now()))
	s.SomeList("Keys", v.Keys)
	s.Pairs("Labels", v.Labels)
	s.List("Used By", view.Strings(v.UsedBy))
	s.SomeList("Tasks", view.Strings(v.Tasks))
	if s.Wide() {
		s.Fieldf("Versions Kept", "%d", v.Keep)
		s.Some("Lifetime", v.Lifetime)
	}
}
