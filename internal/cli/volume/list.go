package volume

import (
	"context"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

func newList(s *command.Shell) *cobra.Command {
	r := &warrenv1.ListVolumesRequest{}
	cmd := command.NewVariedList(s, func() command.Noun[view.Volume] { return listing(r) }, command.Doc{
		Short: "List volumes",
		Long: `List volumes. SIZE is what is used, as it was last measured.

--trash lists those in the trash instead, as "warren volume trash" does.`,
		Example: `  warren volume list
  warren volume list --unused
  warren volume list --node worker-1 --label env=production -o wide
  warren volume list --trash`,
	})
	bindFilters(cmd, r)
	cmd.Flags().BoolVar(&r.Unused, "unused", false, "only those that no service names and no task holds")
	cmd.Flags().BoolVar(&r.Trash, "trash", false, "those in the trash")
	return cmd
}

func bindFilters(cmd *cobra.Command, r *warrenv1.ListVolumesRequest) {
	cmd.Flags().StringVar(&r.Node, "node", "", "only those on this `NODE`")
}

// listing is the noun whose list is what the request asks for.
func listing(r *warrenv1.ListVolumesRequest) command.Noun[view.Volume] {
	noun := Noun
	noun.List = func(ctx context.Context, c *client.Client, labels []string) ([]view.Volume, error) {
		r.Filter = &warrenv1.Filter{Labels: labels}
		return list(ctx, c, r)
	}
	if r.GetTrash() {
		noun.Columns = trashColumns
	}
	return noun
}
