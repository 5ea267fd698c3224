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

func newCreate(s *command.Shell) *cobra.Command {
	var (
		q      quotas
		labels []string
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a namespace",
		Long: `Create a namespace. Services, volumes and secrets made with -n NAME are in it;
things of one name in two namespaces never meet.`,
		Example: `  warren namespace create prod --volume-quota 100G --secret-quota 100
  warren volume create db-data --size 10G -n prod
  WARREN_NAMESPACE=prod warren volume list`,
		Args:              command.Names(spec.KindNamespace, 1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	created := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &warrenv1.CreateNamespaceRequest{Name: args[0]}
		volumes, secrets, err := q.read(cmd)
		if err != nil {
			return err
		}
		if volumes != nil {
			r.VolumeQuota = *volumes
		}
		if secrets != nil {
			r.SecretQuota = *secrets
		}
		if r.Labels, err = spec.ParseLabels(labels); err != nil {
			return err
		}
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			n, err := c.Spaces.CreateNamespace(ctx, r)
			if err != nil {
				return err
			}
			return created.Show(s, view.NewNamespace(n), "created")
		})(cmd, args)
	}
	q.bind(cmd)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "label: `KEY=VALUE` (repeatable)")
	return cmd
}
