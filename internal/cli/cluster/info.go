package cluster

import (
	"context"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

var noun = command.Noun[view.Cluster]{
	Kind: "cluster",
	Sheet: func(s *command.Sheet, v view.Cluster) {
		s.Field("ID", v.ID)
		s.Some("Name", v.Name)
		s.Field("Leader", v.Leader)
		s.Field("Manager", v.Manager)
		s.Field("Version", v.Version)
		s.Field("Unlock Key Fingerprint", v.UnlockKeyFingerprint)
		s.Field("Trash Time", v.TrashTime)
		if v.Autolock {
			s.Field("Autolock", "on")
		}
		if v.UnlockKeyExportedAt.IsZero() {
			s.Field("Unlock Key", "nobody was given it: warren cluster unlock-key")
		}
		managers := make([]string, len(v.Managers))
		for i, m := range v.Managers {
			managers[i] = m.String()
		}
		s.SomeList("Managers", managers)
		s.Some("Keys Rotate Every", v.RotateEvery)
		if v.Rotation != nil {
			s.Field("Last Rotation", v.Rotation.Phase)
		}
		s.Time("Created", v.CreatedAt)
		if s.Wide() {
			s.List("CA Certificate", strings.Split(strings.TrimSpace(v.CACertificate), "\n"))
		}
	},
}

func newInfo(s *command.Shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Show which cluster this is, and who leads it",
		Example: `  warren cluster info
  warren cluster info -o json`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v *warrenv1.Cluster
		var holders *warrenv1.ListKeyHoldersResponse
		err := s.Wait(ctx, "Reading the cluster", func(ctx context.Context) (err error) {
			if v, err = c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{}); err == nil {
				holders, err = c.Keys.ListKeyHolders(ctx, &warrenv1.ListKeyHoldersRequest{})
			}
			return err
		})
		if err != nil {
			return err
		}
		shown := view.NewCluster(v, c.Address())
		shown.Managers = view.NewKeyHolders(holders.GetManagers())
		return command.ShowOne(s, noun, *format, shown)
	})
	return cmd
}
