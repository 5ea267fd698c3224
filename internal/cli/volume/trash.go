package volume

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

var trashColumns = append([]command.Column[view.Volume]{
	command.Text("NAME", func(v view.Volume) string { return v.Name }).WithGap(2),
	command.Text("DRIVER", func(v view.Volume) string { return v.Driver }).WithGap(2),
	command.Text("SIZE", size),
	command.Text("NODE", func(v view.Volume) string { return v.Node }),
	command.Age("DELETED", func(v view.Volume) time.Time { return v.DeletedAt }),
	{Title: "GOES", Cell: func(v view.Volume, now time.Time) string { return spec.FormatIn(v.PurgeAt.Sub(now)) }},
}, command.OnlyWide(
	command.Text("ID", func(v view.Volume) string { return v.ID }),
	command.Text("LABELS", func(v view.Volume) string { return command.Pairs(v.Labels) }),
)...)

func newTrash(s *command.Shell) *cobra.Command {
	r := &warrenv1.ListVolumesRequest{Trash: true}
	cmd := command.NewList(s, listing(r), command.Doc{
		Short: "List the volumes in the trash, and when they go for good",
		Long: `List the volumes in the trash, and when they go for good.

"warren volume undelete" takes one out again, "warren volume delete --purge"
removes one at once. When the disk of a node is full, the one that is there for
longest goes early, but none within its first hour.`,
		Example: `  warren volume trash
  warren volume trash -o wide
  warren volume undelete db-data`,
	})
	cmd.Use, cmd.Aliases = "trash", nil
	bindFilters(cmd, r)
	return cmd
}
