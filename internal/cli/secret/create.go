package secret

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newCreate(s *command.Shell) *cobra.Command {
	var (
		from   source
		labels []string
		age    retention
	)
	r := &warrenv1.CreateSecretRequest{}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a secret",
		Long: `Create a secret of at most 1 MB. Containers find it at /run/secrets/NAME, with
exactly the bytes that were given. It is sealed before it leaves this program.`,
		Example: `  echo -n "mySecurePassword" | warren secret create db-password --from-stdin
  warren secret create tls-cert --from-file /path/to/cert.pem
  warren secret create db-password --from-literal password=mySecurePassword123
  warren secret create tls --from-file tls.crt=/path/to/cert.pem --from-file tls.key=/path/to/key.pem --expires 90d`,
		Args:              command.Names(spec.KindSecret, 1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	created := command.NewCreated(cmd, Noun)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		r.Name, r.Namespace = args[0], spec.Namespace(s.Namespace) // the value is bound to it
		if err := from.check(cmd); err != nil {
			return err
		}
		if err := spec.ValidName(spec.KindSecret, r.Name); err != nil {
			return err
		}
		if r.Labels, err = spec.ParseLabels(labels); err != nil {
			return err
		}
		if err := age.check(cmd, r.Name); err != nil {
			return err
		}
		r.Lifetime, r.Keep = age.lifetime, age.keep
		items, err := from.read(r.Name, s)
		if err != nil {
			return err
		}
		defer destroy(items)
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			v, err := create(ctx, s, c, r, items)
			if err != nil {
				return err
			}
			return created.Show(s, view.NewSecret(v), "created")
		})(cmd, args)
	}
	from.bind(cmd)
	age.bind(cmd)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "label: `KEY=VALUE` (repeatable)")
	return cmd
}

// create sends a new secret, sealed.
func create(ctx context.Context, s *command.Shell, c *client.Client, r *warrenv1.CreateSecretRequest, items []item) (v *warrenv1.Secret, err error) {
	err = s.Wait(ctx, "Creating secret "+r.Name, func(ctx context.Context) error {
		if r.Items, err = sealed(ctx, c, r.Namespace, r.Name, items); err != nil {
			return err
		}
		if err := spec.ValidateSecret(r); err != nil {
			return err
		}
		v, err = c.Secrets.CreateSecret(ctx, r)
		return err
	})
	return v, err
}

// sealed seals every value to the cluster's key, bound to the secret's name.
func sealed(ctx context.Context, c *client.Client, namespace, name string, items []item) ([]*warrenv1.SealedItem, error) {
	if len(items) == 0 {
		return nil, nil
	}
	cluster, err := c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil {
		return nil, err
	}
	envelopes, err := seal.NewEnvelopes(cluster.GetSealingKey())
	if err != nil {
		return nil, err
	}
	defer envelopes.Destroy()
	out := make([]*warrenv1.SealedItem, len(items))
	for i, item := range items {
		ciphertext, err := envelopes.Seal(seal.ToClusterInfo(cluster.GetId(), namespace, name, item.key), item.value)
		if err != nil {
			return nil, err
		}
		out[i] = &warrenv1.SealedItem{Key: item.key, Ciphertext: ciphertext}
	}
	return out, nil
}
