package server

import (
	"errors"
	"io"

	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// ExecTask runs a command in a task: frames go between the caller and the
// task's node as they are, until the node says how the command ended.
func (t *tasks) ExecTask(call grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
	first, err := call.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	start := first.GetStart()
	if start == nil || len(start.GetArgs()) == 0 {
		return spec.Problemf(spec.Invalid, spec.KindTask, start.GetTask().GetNameOrId(), "no command is given").
			WithHint("warren exec TASK -- COMMAND ARG…")
	}
	task, err := t.GetTask(call.Context(), start.GetTask())
	if err != nil {
		return err
	}
	if err := canExec(task); err != nil {
		return err
	}
	start.Task = &warrenv1.Ref{Namespace: task.GetMeta().GetNamespace(), NameOrId: task.GetMeta().GetId()}
	worker, err := t.config.Streams.Open(call.Context(), task.GetNodeId(),
		&warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Exec{Exec: start}})
	if err != nil {
		return err
	}
	defer worker.Close()
	// It ends with the call's context, which ends when this function returns.
	go passInput(call, worker)
	return passOutput(call, worker, task)
}

func canExec(task *warrenv1.Task) error {
	state := task.GetStatus().GetState()
	if state == warrenv1.TaskState_TASK_STATE_RUNNING && task.GetNodeId() != "" {
		return nil
	}
	name := task.GetMeta().GetName()
	return spec.Problemf(spec.Refused, spec.KindTask, name, "task %q is not running but %s", name, spec.TaskStateName(state)).
		WithHint("warren service inspect %s", task.GetService())
}

// passInput gives the worker what the caller sends. The end of the caller's
// side is not the end of the command's input: the caller says that in a frame.
func passInput(call grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput], worker Stream) {
	for {
		input, err := call.Recv()
		if err != nil {
			return
		}
		if err := worker.Send(&warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Exec{Exec: input}}); err != nil {
			return
		}
	}
}

func passOutput(call grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput], worker Stream, task *warrenv1.Task) error {
	for {
		frame, err := worker.Recv()
		if errors.Is(err, io.EOF) {
			name := task.GetMeta().GetName()
			return spec.Problemf(spec.Unavailable, spec.KindTask, name,
				"node %s did not say how the command in task %q ended", task.GetNodeName(), name)
		}
		if err != nil {
			return err
		}
		output := frame.GetExec()
		if output == nil {
			continue
		}
		if err := call.Send(output); err != nil {
			return err
		}
		if output.GetExit() != nil {
			return nil
		}
	}
}
