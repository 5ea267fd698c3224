package secret

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// changes are what a person changes of a secret.
type changes struct {
	from                   source
	age                    retention
	labels, more, unlabels []string
}

func newUpdate(s *command.Shell) *cobra.Command {
	var f changes
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Give a secret a new value, as a new version",
		Long: `Give a secret a new value. It becomes a new version; the earlier ones are kept,
the newest ten of them, and all that are in use.

New tasks get the newest version. What tasks that run do is up to their service:
they keep theirs, unless --secret says on-change=update, signal:NAME or restart.
Without a new value, labels and the time of expiry can be changed.`,
		Example: `  echo -n "newPassword" | warren secret update db-password --from-stdin
  warren secret update db-password --from-literal password=newPassword
  warren secret update db-password --label-add owner=ann --label-rm draft
  warren secret update db-password --expires 90d`,
		Args:              command.Names(spec.KindSecret, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	shown := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := f.request(cmd, args[0])
		if err != nil {
			return err
		}
		var items []item
		if f.from.given(cmd) > 0 {
			if items, err = f.from.read(args[0], s); err != nil {
				return err
			}
			defer destroy(items)
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			var answer *warrenv1.UpdateSecretResponse
			err := s.Wait(ctx, "Updating secret "+args[0], func(ctx context.Context) (err error) {
				answer, err = update(ctx, c, r, items)
				return err
			})
			if err != nil {
				return err
			}
			return showUpdate(s, shown, answer, len(items) > 0)
		})(cmd, args)
	}
	f.from.bind(cmd)
	f.age.bind(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.labels, "label", "l", nil, "label to set: `KEY=VALUE` (repeatable)")
	flags.StringArrayVar(&f.more, "label-add", nil, "`KEY=VALUE`: the same as --label")
	flags.StringArrayVar(&f.unlabels, "label-rm", nil, "`KEY` of a label to take away (repeatable)")
	return cmd
}

// request is all of the call's argument but the values.
func (f *changes) request(cmd *cobra.Command, name string) (r *warrenv1.UpdateSecretRequest, err error) {
	r = &warrenv1.UpdateSecretRequest{Ref: &warrenv1.Ref{NameOrId: name}, RemoveLabels: f.unlabels}
	if r.SetLabels, err = spec.ParseLabels(append(f.labels, f.more...)); err != nil {
		return nil, err
	}
	if err := f.age.check(cmd, name); err != nil {
		return nil, err
	}
	r.Lifetime = f.age.lifetime
	if cmd.Flags().Changed("keep") {
		r.Keep = &f.age.keep
	}
	if f.from.given(cmd) > 1 || f.from.given(cmd) == 0 && len(r.SetLabels)+len(r.RemoveLabels) == 0 && r.Lifetime == nil && r.Keep == nil {
		return nil, f.from.check(cmd)
	}
	return r, nil
}

// update sends the change. A value is bound to the secret's name, whatever the
// person called it by.
func update(ctx context.Context, c *client.Client, r *warrenv1.UpdateSecretRequest, items []item) (*warrenv1.UpdateSecretResponse, error) {
	before, err := c.Secrets.GetSecret(ctx, r.GetRef())
	if err != nil {
		return nil, err
	}
	m := before.GetMeta()
	if r.Items, err = sealed(ctx, c, m.GetNamespace(), m.GetName(), items); err != nil {
		return nil, err
	}
	if err := spec.ValidateSecretUpdate(m.GetName(), r); err != nil {
		return nil, err
	}
	r.Ref = &warrenv1.Ref{Namespace: m.GetNamespace(), NameOrId: m.GetId()}
	return c.Secrets.UpdateSecret(ctx, r)
}

// showUpdate says what became of a secret.
func showUpdate(s *command.Shell, shown *command.Created[view.Secret], answer *warrenv1.UpdateSecretResponse, newVersion bool) error {
	s.Warn(answer.GetWarnings())
	done := "updated"
	if newVersion {
		done = fmt.Sprintf("updated: version %d", spec.NewestVersion(answer.GetSecret()).GetNumber())
	}
	return shown.Show(s, view.NewSecret(answer.GetSecret()), done)
}
