package volume

import (
	"context"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newSchedule(s *command.Shell) *cobra.Command {
	r := &warrenv1.ScheduleSnapshotsRequest{Volume: &warrenv1.Ref{}}
	remove := false
	cmd := &cobra.Command{
		Use:   `schedule VOLUME --snapshot "0 2 * * *" [--keep N]`,
		Short: "Have snapshots of a volume taken again and again",
		Long: `Have snapshots of a volume taken again and again, and the oldest of them removed.
The expression is minute, hour, day of month, month, day of week, or @hourly,
@daily, @weekly, @monthly, @yearly.

Times are UTC unless --time-zone says otherwise. A time that daylight saving
skips is run when it would have been; one that comes twice, once, unless every
hour is due. Of runs that were missed, the last is made up for.`,
		Example: `  warren volume schedule db-data --snapshot "0 2 * * *" --keep 7
  warren volume schedule db-data --snapshot @hourly --keep 24 --time-zone Europe/Berlin
  warren volume schedule db-data --remove`,
		Args:              command.Names(spec.KindVolume, 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	schedule := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		if remove {
			if _, err := c.Snapshots.UnscheduleSnapshots(ctx, r.Volume); err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "Volume %s has no schedule any more; its snapshots stay\n", r.Volume.NameOrId)
			return nil
		}
		is, err := c.Snapshots.ScheduleSnapshots(ctx, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "Volume %s is snapshotted at %q (%s), and %d snapshots are kept\n",
			r.Volume.NameOrId, is.GetCron(), is.GetTimeZone(), is.GetKeep())
		return nil
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Volume.NameOrId = args[0]
		if (r.Cron == "") == !remove {
			return command.Usagef(cmd, "--snapshot says when, --remove ends it")
		}
		return schedule(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Cron, "snapshot", "", "`WHEN` snapshots are taken: a cron expression")
	flags.Uint32Var(&r.Keep, "keep", spec.DefaultKeptSnapshots, "how many of them are kept")
	flags.StringVar(&r.TimeZone, "time-zone", "UTC", "`ZONE` of the times, such as Europe/Berlin")
	flags.StringVar(&r.Pre, "pre", "", "`COMMAND` for a shell in a task that uses the volume, before")
	flags.StringVar(&r.Post, "post", "", "`COMMAND` for a shell in that task, after")
	flags.BoolVar(&remove, "remove", false, "end the schedule")
	return cmd
}
