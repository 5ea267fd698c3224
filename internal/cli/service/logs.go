package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

func newLogs(s *command.Shell) *cobra.Command {
	var (
		r     warrenv1.ServiceLogsRequest
		tail  uint32
		plain bool
	)
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show what the tasks of a service wrote",
		Long: `Show what the tasks of a service wrote, each line behind its task's name.
What they wrote to standard error goes to standard error.`,
		Example: `  warren service logs postgres
  warren service logs postgres --follow --tail 20 --timestamps`,
		Args:              command.Names("service", 1, 1),
		ValidArgsFunction: command.Complete(s, Noun, false),
	}
	logs := s.Calling(func(ctx context.Context, c *client.Client, names []string) error {
		r.Ref = &warrenv1.Ref{NameOrId: names[0]}
		write := func(e *warrenv1.LogEntry) error { return writeEntry(s, e, r.Timestamps, plain) }
		if r.Follow {
			return followLogs(ctx, c, &r, write)
		}
		return readLogs(ctx, c, &r, write)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("tail") {
			r.Tail = &tail
		}
		return logs(cmd, args)
	}
	flags := cmd.Flags()
	flags.BoolVarP(&r.Follow, "follow", "f", false, "go on until interrupted")
	flags.Uint32Var(&tail, "tail", 0, "only the last `LINES` of each task (default: all)")
	flags.BoolVarP(&r.Timestamps, "timestamps", "t", false, "show when each line was written")
	flags.BoolVar(&plain, "no-prefix", false, "leave the tasks' names out")
	return cmd
}

func readLogs(ctx context.Context, c *client.Client, r *warrenv1.ServiceLogsRequest, write func(*warrenv1.LogEntry) error) error {
	stream, err := c.Services.ServiceLogs(ctx, r)
	if err != nil {
		return err
	}
	for {
		entry, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := write(entry); err != nil {
			return err
		}
	}
}

// followLogs goes on where it was when the manager was lost.
func followLogs(ctx context.Context, c *client.Client, r *warrenv1.ServiceLogsRequest, write func(*warrenv1.LogEntry) error) error {
	u, began := spec.Unread{}, time.Now()
	return command.Resume(ctx, func(ctx context.Context, heard func()) error {
		u.Begin()
		err := readLogs(ctx, c, r, func(e *warrenv1.LogEntry) error {
			heard()
			if !u.Is(e) {
				return nil
			}
			return write(e)
		})
		if r.Tail != nil { // not the same lines any more
			u.Since, r.Tail = began, nil
		}
		return err
	})
}

func writeEntry(s *command.Shell, e *warrenv1.LogEntry, timestamps, plain bool) error {
	out := s.Out
	if e.GetStream() == warrenv1.LogEntry_STREAM_STDERR {
		out = s.Err
	}
	prefix := ""
	if !plain {
		prefix = e.GetTaskName() + " | "
	}
	if timestamps {
		prefix += e.GetTime().AsTime().In(s.Zone).Format(time.RFC3339Nano) + " "
	}
	_, err := fmt.Fprintf(out, "%s%s\n", prefix, e.GetLine())
	return err
}
