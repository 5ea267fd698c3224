package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func newEvents(s *command.Shell) *cobra.Command {
	var (
		follow bool
		since  string
		r      warrenv1.ListEventsRequest
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened, oldest first",
		Long:  "Show what happened, oldest first. With -o json there is one object per line.",
		Example: `  warren events --follow
  warren events --since 2h
  warren events --since 2025-10-08T10:00:00Z -o json`,
		Args: command.Names("", 0, 0),
	}
	format := command.BindFormat(cmd)
	list := s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		write := func(e *warrenv1.Event) error { return writeEvent(s, *format, view.NewEvent(e)) }
		if !r.GetFollow() {
			return readEvents(ctx, c, &r, write)
		}
		var last uint64
		return command.Resume(ctx, func(ctx context.Context, heard func()) error {
			return readEvents(ctx, c, &r, func(e *warrenv1.Event) error {
				heard()
				if e.GetSequence() <= last {
					return nil // from before the manager was lost
				}
				last = e.GetSequence()
				return write(e)
			})
		})
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Follow = follow
		if since != "" {
			t, err := parseSince(since, s.Now(), s.Zone)
			if err != nil {
				return command.Usagef(cmd, "--since %q is neither an age such as 2h or 3d nor a time such as 2025-10-08T10:00:00Z", since)
			}
			r.Since = timestamppb.New(t)
		}
		return list(cmd, args)
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until interrupted")
	cmd.Flags().StringVar(&since, "since", "", "only what happened since `WHEN`: an age (2h, 3d) or a time")
	return cmd
}

func readEvents(ctx context.Context, c *client.Client, r *warrenv1.ListEventsRequest, write func(*warrenv1.Event) error) error {
	stream, err := c.Clusters.ListEvents(ctx, r)
	for err == nil {
		var e *warrenv1.Event
		if e, err = stream.Recv(); err == nil {
			err = write(e)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func writeEvent(s *command.Shell, format command.Format, e view.Event) error {
	switch format {
	case command.JSON:
		return json.NewEncoder(s.Out).Encode(e)
	case command.YAML:
		fmt.Fprintln(s.Out, "---")
		return format.Encode(s.Out, e)
	}
	name := e.Name
	if format == command.Wide && e.ID != "" {
		name += " (" + e.ID + ")"
	}
	line := fmt.Sprintf("%s  %s %s  %s", e.Time.In(s.Zone).Format(time.DateTime), e.Kind, name, e.Reason)
	if e.Message != "" {
		line += ": " + e.Message
	}
	_, err := fmt.Fprintln(s.Out, command.Visible(line))
	return err
}

// parseSince reads an age, with days too, or a moment.
func parseSince(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not a moment")
}
