package server

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// ServiceLogs sends what a service's tasks wrote: task after task, or with
// follow all of them as they write, and those that come later too.
func (s *services) ServiceLogs(r *warrenv1.ServiceLogsRequest, call grpc.ServerStreamingServer[warrenv1.LogEntry]) error {
	ctx := call.Context()
	service, err := s.read(ctx, r.GetRef())
	if err != nil {
		return err
	}
	if r.GetFollow() {
		return s.followLogs(service, r, call)
	}
	tasks, err := s.loggingTasks(ctx, service)
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if _, err := s.taskLog(ctx, task, r, call.Send); err != nil {
			return err
		}
	}
	return nil
}

// followLogs reads one log per task until the caller goes away or the service
// is gone. One goroutine each reads, and all of them end with this function.
func (s *services) followLogs(service *warrenv1.Service, r *warrenv1.ServiceLogsRequest, call grpc.ServerStreamingServer[warrenv1.LogEntry]) error {
	ctx, cancel := context.WithCancelCause(call.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel(nil)
	var one sync.Mutex
	send := func(e *warrenv1.LogEntry) error {
		one.Lock()
		defer one.Unlock()
		return call.Send(e)
	}
	w := s.store.Watch(taskTables...)
	defer w.Close()
	seen := map[string]bool{}
	for {
		if _, err := w.Next(ctx); err != nil {
			return context.Cause(ctx)
		}
		tasks, err := s.loggingTasks(ctx, service)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, task := range tasks {
			if seen[task.GetMeta().GetId()] {
				continue
			}
			seen[task.GetMeta().GetId()] = true
			readers.Go(func() {
				if err := s.followTask(ctx, task, r, send); err != nil {
					cancel(err)
				}
			})
		}
	}
}

// followTask goes on where it was when the task's node was away for a while.
func (s *services) followTask(ctx context.Context, task *warrenv1.Task, r *warrenv1.ServiceLogsRequest, send func(*warrenv1.LogEntry) error) error {
	u := spec.Unread{}
	began := s.now().AsTime()
	for {
		u.Begin()
		away, err := s.taskLog(ctx, task, r, func(e *warrenv1.LogEntry) error {
			if !u.Is(e) {
				return nil
			}
			return send(e)
		})
		if err != nil || !away {
			return err
		}
		if r.Tail != nil { // not the same lines any more
			u.Since = began
			r = &warrenv1.ServiceLogsRequest{Ref: r.GetRef(), Follow: true}
		}
		select {
		case <-time.After(logPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// logPause is between two tries to read the log of a task whose node is away.
const logPause = time.Second

// loggingTasks lists the tasks that may have written something, in order.
func (s *services) loggingTasks(ctx context.Context, service *warrenv1.Service) (tasks []*warrenv1.Task, err error) {
	m := service.GetMeta()
	err = s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		if _, err := tx.Services().Get(m.GetNamespace(), m.GetId()); err != nil {
			return err
		}
		for _, task := range tx.Tasks().OfService(m.GetNamespace(), m.GetId()) {
			if err := fillTask(tx, task); err != nil {
				return err
			}
			if task.GetNodeId() != "" && task.GetStatus().GetState() >= warrenv1.TaskState_TASK_STATE_STARTING {
				tasks = append(tasks, task)
			}
		}
		return nil
	})
	slices.SortFunc(tasks, bySlot)
	return tasks, err
}

// taskLog passes one task's log on. A log that is gone, with the task that
// wrote it, is an empty one, and so is that of a node that is away: the other
// tasks' logs are still worth having.
func (s *services) taskLog(ctx context.Context, task *warrenv1.Task, r *warrenv1.ServiceLogsRequest, send func(*warrenv1.LogEntry) error) (away bool, err error) {
	worker, err := s.config.Streams.Open(ctx, task.GetNodeId(), &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Logs{
		Logs: &warrenv1.OpenLogs{TaskId: task.GetMeta().GetId(), Follow: r.GetFollow(), Tail: r.Tail},
	}})
	if err != nil {
		return s.withoutLog(ctx, task, err)
	}
	defer worker.Close()
	for {
		frame, err := worker.Recv()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return s.withoutLog(ctx, task, err)
		}
		entry := frame.GetLog()
		if entry == nil {
			continue
		}
		entry.TaskName, entry.TaskId = task.GetMeta().GetName(), task.GetMeta().GetId()
		if err := send(entry); err != nil {
			return false, err
		}
	}
}

// withoutLog decides whether the other logs go on without this one.
func (s *services) withoutLog(ctx context.Context, task *warrenv1.Task, err error) (away bool, _ error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	var problem *spec.Problem
	away = errors.As(err, &problem) && problem.Code == spec.Unavailable || status.Code(err) == codes.Unavailable
	// A worker that stops cancels what it was sending.
	away = away || status.Code(err) == codes.Canceled
	if away || status.Code(err) == codes.NotFound {
		s.log.Debug("a task's log cannot be read", "task", task.GetMeta().GetId(), "node", task.GetNodeName(), "error", err)
		return away, nil
	}
	return false, err
}
