package namespace

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newUpdate(s *command.Shell) *cobra.Command {
	var (
		q      quotas
		labels []string
		remove []string
	)
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change the quotas and labels of a namespace",
		Long:  "Change the quotas and labels of a namespace. A quota below what is used is refused.",
		Example: `  warren namespace update prod --volume-quota 200G
  warren namespace update prod --secret-quota none --label-rm draft`,
		Args:              command.Names(spec.KindNamespace, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	updated := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &warrenv1.UpdateNamespaceRequest{Name: args[0], RemoveLabels: remove}
		var err error
		if r.VolumeQuota, r.SecretQuota, err = q.read(cmd); err != nil {
			return err
		}
		if r.SetLabels, err = spec.ParseLabels(labels); err != nil {
			return err
		}
		if r.VolumeQuota == nil && r.SecretQuota == nil && len(labels)+len(remove) == 0 {
			return command.Usagef(cmd, "nothing is to be changed of namespace %q", args[0])
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			n, err := c.Spaces.UpdateNamespace(ctx, r)
			if err != nil {
				return err
			}
			return updated.Show(s, view.NewNamespace(n), "updated")
		})(cmd, args)
	}
	q.bind(cmd)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "label to set: `KEY=VALUE` (repeatable)")
	cmd.Flags().StringArrayVar(&remove, "label-rm", nil, "`KEY` of a label to take away (repeatable)")
	return cmd
}
