package agent

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime/logs"
)

// sendLogs sends what a task's containers printed; following, until the task
// is over or the caller hangs up.
func (a *Agent) sendLogs(ctx context.Context, c *conversation, open *warrenv1.OpenLogs) error {
	t, err := a.find(&warrenv1.Ref{NameOrId: open.GetTaskId()})
	if err != nil {
		return err
	}
	want, _ := t.current()
	options := logs.Options{Follow: open.GetFollow(), Tail: open.Tail, Ended: t.over}
	return logs.Read(ctx, a.logPath(t.id), options, func(e logs.Entry) error {
		entry := &warrenv1.LogEntry{
			TaskName: want.GetMeta().GetName(), TaskId: t.id,
			Time: timestamppb.New(e.Time), Stream: warrenv1.LogEntry_STREAM_STDOUT, Line: e.Line,
		}
		if e.Stream == logs.Stderr {
			entry.Stream = warrenv1.LogEntry_STREAM_STDERR
		}
		return c.send(&warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Log{Log: entry}})
	})
}
