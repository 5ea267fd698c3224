// Package volume has the verbs of `warren volume`.
package volume

import (
	"context"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// New makes `warren volume`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("volume", "Manage volumes: storage that outlives containers",
		newCreate(s), newList(s), newInspect(s), newResize(s), newDelete(s), newTrash(s), newUndelete(s),
		newSnapshot(s), newRestore(s), newClone(s), newSchedule(s))
}

// Noun is how volumes are fetched and shown.
var Noun = command.Noun[view.Volume]{
	Kind: spec.KindVolume,
	ID:   func(v view.Volume) string { return v.ID },
	Name: func(v view.Volume) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Volume, error) {
		return list(ctx, c, &warrenv1.ListVolumesRequest{Filter: &warrenv1.Filter{Labels: labels}})
	},
	Get: func(ctx context.Context, c *client.Client, ref string) (view.Volume, error) {
		v, err := c.Volumes.GetVolume(ctx, &warrenv1.Ref{NameOrId: ref})
		return view.NewVolume(v), err
	},
	Columns: append([]command.Column[view.Volume]{
		command.Text("NAME", func(v view.Volume) string { return v.Name }).WithGap(2),
		command.Text("DRIVER", func(v view.Volume) string { return v.Driver }).WithGap(2),
		command.Text("SIZE", size),
		command.Text("NODE", func(v view.Volume) string { return v.Node }),
		command.Age("CREATED", func(v view.Volume) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("ID", func(v view.Volume) string { return v.ID }),
		command.Text("LIMIT", limit),
		command.Text("ACCESS", func(v view.Volume) string { return v.Access }),
		command.Text("STATE", func(v view.Volume) string { return v.State }),
		command.Text("LABELS", func(v view.Volume) string { return command.Pairs(v.Labels) }),
	)...),
	Sheet: sheet,
}

func list(ctx context.Context, c *client.Client, r *warrenv1.ListVolumesRequest) ([]view.Volume, error) {
	answer, err := c.Volumes.ListVolumes(ctx, r)
	return view.All(answer.GetVolumes(), view.NewVolume), err
}

func limit(v view.Volume) string {
	if v.Limit == 0 {
		return ""
	}
	return spec.FormatSize(v.Limit)
}

func size(v view.Volume) string {
	if v.Size == nil {
		return ""
	}
	return spec.FormatSize(*v.Size)
}

func sheet(s *command.Sheet, v view.Volume) {
	s.Field("Name", v.Name)
	s.Field("ID", v.ID)
	s.Field("Driver", v.Driver)
	s.Field("Mount Point", v.MountPoint)
	s.Field("Node", v.Node)
	if v.Size == nil {
		s.Field("Size", "not measured yet")
	} else {
		s.Field("Size", spec.FormatSizeLong(*v.Size))
	}
	if v.Limit != 0 {
		s.Field("Limit", spec.FormatSizeLong(v.Limit))
	}
	s.Some("Not Resized", v.Resize)
	s.List("Used By", view.Strings(v.UsedBy))
	if v.LastMountedBy != "" {
		s.Field("Last Mounted By", v.LastMountedBy)
		s.Time("Last Mounted", v.LastMountedAt)
	}
	if v.Schedule != nil {
		s.Field("Snapshots", v.Schedule.String())
		s.Time("Next Snapshot", v.Schedule.NextRun)
	}
	s.Time("Created", v.CreatedAt)
	if !v.DeletedAt.IsZero() {
		s.Field("State", v.State)
		s.Time("Deleted", v.DeletedAt)
		s.Time("Kept Until", v.PurgeAt)
	}
	if s.Wide() {
		s.Field("Access", v.Access)
		s.Field("State", v.State)
		s.Some("Message", v.Message)
		s.Pairs("Options", v.Options)
		s.Pairs("Labels", v.Labels)
		s.Time("Measured", v.MeasuredAt)
	}
}
