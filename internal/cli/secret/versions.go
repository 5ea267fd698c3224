package secret

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newVersions(s *command.Shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "versions NAME",
		Short: "Show the versions of a secret, and which tasks have them; never the values",
		Example: `  warren secret versions db-password
  warren secret versions db-password -o json`,
		Args:              command.Names(spec.KindSecret, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, args []string) error {
		var secret view.Secret
		err := s.Wait(ctx, "Reading the versions of secret "+args[0], func(ctx context.Context) (err error) {
			secret, err = Noun.Get(ctx, c, args[0])
			return err
		})
		if err != nil {
			return err
		}
		slices.Reverse(secret.Versions)
		return command.ShowTable(s, *format, versionColumns, secret.Versions)
	})
	return cmd
}

var versionColumns = append([]command.Column[view.SecretVersion]{
	command.Text("VERSION", func(v view.SecretVersion) string { return fmt.Sprint(v.Number) }),
	command.Text("SIZE", func(v view.SecretVersion) string { return spec.FormatSize(v.Size) }),
	command.Age("CREATED", func(v view.SecretVersion) time.Time { return v.CreatedAt }),
	command.Text("BY", func(v view.SecretVersion) string { return v.CreatedBy }),
	command.Text("VALUE OF", func(v view.SecretVersion) string {
		if v.CopyOf == 0 {
			return ""
		}
		return fmt.Sprint(v.CopyOf)
	}),
	command.Text("TASKS", func(v view.SecretVersion) string { return fmt.Sprint(len(v.Tasks)) }),
}, command.OnlyWide(
	command.Text("KEYS", func(v view.SecretVersion) string { return strings.Join(v.Keys, ",") }),
	command.Column[view.SecretVersion]{Title: "EXPIRES", Cell: view.SecretVersion.Expires},
	command.Text("NAMES", func(v view.SecretVersion) string { return strings.Join(v.Tasks, ",") }),
)...)
