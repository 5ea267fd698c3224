package volume

import (
	"context"
	"fmt"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// snapshots is how snapshots are fetched and shown.
var snapshots = command.Noun[view.Snapshot]{
	Kind: spec.KindSnapshot,
	ID:   func(v view.Snapshot) string { return v.ID },
	Name: func(v view.Snapshot) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Snapshot, error) {
		return listSnapshots(ctx, c, labels, "")
	},
	Get: func(ctx context.Context, c *client.Client, ref string) (view.Snapshot, error) {
		s, err := c.Snapshots.GetSnapshot(ctx, &warrenv1.Ref{NameOrId: ref})
		return view.NewSnapshot(s), err
	},
	Columns: append([]command.Column[view.Snapshot]{
		command.Text("NAME", func(v view.Snapshot) string { return v.Name }),
		command.Text("VOLUME", func(v view.Snapshot) string { return v.Volume }),
		command.Text("SIZE", func(v view.Snapshot) string { return spec.FormatSize(v.Size) }),
		command.Text("STATE", func(v view.Snapshot) string { return v.State }),
		command.Text("NODE", func(v view.Snapshot) string { return v.Node }),
		command.Age("CREATED", func(v view.Snapshot) time.Time { return v.CreatedAt }),
	}, command.OnlyWide(
		command.Text("ID", func(v view.Snapshot) string { return v.ID }),
		command.Text("ORIGIN", func(v view.Snapshot) string { return v.Origin }),
		command.Text("METHOD", func(v view.Snapshot) string { return v.Method }),
		command.Text("PAUSE", pause),
	)...),
	Sheet: func(s *command.Sheet, v view.Snapshot) {
		s.Field("Name", v.Name)
		s.Field("ID", v.ID)
		s.Field("Volume", v.Volume)
		s.Field("Node", v.Node)
		s.Field("State", v.State)
		s.Some("Message", v.Message)
		s.Field("Size", spec.FormatSizeLong(v.Size))
		s.Some("Method", v.Method)
		s.Some("Pause", pause(v))
		s.Field("Origin", v.Origin)
		s.Time("Taken", v.TakenAt)
		s.Time("Created", v.CreatedAt)
	},
}

func listSnapshots(ctx context.Context, c *client.Client, labels []string, volume string) ([]view.Snapshot, error) {
	answer, err := c.Snapshots.ListSnapshots(ctx, &warrenv1.ListSnapshotsRequest{Filter: &warrenv1.Filter{Labels: labels}, Volume: volume})
	return view.All(answer.GetSnapshots(), view.NewSnapshot), err
}

func pause(v view.Snapshot) string {
	if v.Pause == nil {
		return ""
	}
	return spec.FormatPause(time.Duration(*v.Pause * float64(time.Second)))
}

// taken says how a snapshot came about.
func taken(v view.Snapshot) string {
	words := []string{"taken by " + v.Method}
	if v.Pause != nil {
		words = append(words, "tasks paused for "+pause(v))
	}
	return strings.Join(words, ", ")
}

func newSnapshot(s *command.Shell) *cobra.Command {
	r := &warrenv1.CreateSnapshotRequest{Volume: &warrenv1.Ref{}}
	cmd := &cobra.Command{
		Use:   "snapshot VOLUME [--name NAME]",
		Short: "Take a snapshot of a volume, or look after snapshots",
		Long: `Take a snapshot of a volume: what it holds at one instant. It lies beside the
volume on the same node, so it protects from mistakes, not from losing the disk.

The tasks that use the volume are frozen for the instant, often for some
milliseconds; how long is reported. --pre and --post run a command in one of
them, before and after.

A volume that is called list, inspect or delete is named behind two dashes:
warren volume snapshot -- list`,
		Example: `  warren volume snapshot db-data --name snapshot-20251010
  warren volume snapshot db-data --pre "psql -U postgres -c CHECKPOINT"
  warren volume snapshot list --volume db-data
  warren volume snapshot inspect snapshot-20251010
  warren volume snapshot delete snapshot-20251010`,
		Args:              command.Names(spec.KindVolume, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	created := command.NewCreated(cmd, snapshots)
	create := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		var v view.Snapshot
		err := s.Wait(ctx, "Taking a snapshot of volume "+r.Volume.NameOrId, func(ctx context.Context) error {
			answer, err := c.Snapshots.CreateSnapshot(ctx, r)
			if err == nil {
				v = view.NewSnapshot(answer.GetSnapshots()[0])
			}
			return err
		})
		if err != nil {
			return err
		}
		if v.Message != "" {
			s.Warn([]string{v.Message})
		}
		return created.Show(s, v, taken(v))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Volume.NameOrId = args[0]
		return create(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Name, "name", "", "`NAME` of the snapshot (default: the volume's and the time)")
	flags.StringVar(&r.Pre, "pre", "", "`COMMAND` for a shell in a task that uses the volume, before; when it fails, no snapshot is taken")
	flags.StringVar(&r.Post, "post", "", "`COMMAND` for a shell in that task, after")
	cmd.AddCommand(newSnapshotList(s), newSnapshotInspect(s), newSnapshotDelete(s))
	return cmd
}

func newSnapshotList(s *command.Shell) *cobra.Command {
	volume := ""
	cmd := command.NewVariedList(s, func() command.Noun[view.Snapshot] {
		noun := snapshots
		noun.List = func(ctx context.Context, c *client.Client, labels []string) ([]view.Snapshot, error) {
			return listSnapshots(ctx, c, labels, volume)
		}
		return noun
	}, command.Doc{
		Short: "List snapshots",
		Example: `  warren volume snapshot list
  warren volume snapshot list --volume db-data -o wide`,
	})
	cmd.Flags().StringVar(&volume, "volume", "", "only those of this `VOLUME`")
	return cmd
}

func newSnapshotInspect(s *command.Shell) *cobra.Command {
	return command.NewInspect(s, snapshots, command.Doc{
		Short:   "Show snapshots: of what, how large, how they were taken",
		Example: `  warren volume snapshot inspect snapshot-20251010`,
	})
}

func newSnapshotDelete(s *command.Shell) *cobra.Command {
	return command.NewAction(s, snapshots, command.Action{
		Doc: command.Doc{
			Short:   "Delete snapshots for good",
			Example: `  warren volume snapshot delete snapshot-20251010`,
		},
		Verb: "delete", Doing: "Deleting",
		Question: func(names string) string { return fmt.Sprintf("Delete snapshot %s for good?", names) },
		Do: func(ctx context.Context, c *client.Client, name string) (string, error) {
			gone, err := c.Snapshots.DeleteSnapshot(ctx, &warrenv1.Ref{NameOrId: name})
			return fmt.Sprintf("Snapshot %s deleted", gone.GetMeta().GetName()), err
		},
	})
}
