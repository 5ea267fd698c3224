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
		err := s.Wait(ctx, "Reading the cluster", func(ctx context.Context) (err error) {
			v, err = c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
			return err
		})
		if err != nil {
			return err
		}
		return command.ShowOne(s, noun, *format, view.NewCluster(v, c.Address()))
	})
	return cmd
}
