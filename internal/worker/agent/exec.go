package agent

import (
	"context"
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// exec runs a command in a task's container; it ends with the conversation.
func (a *Agent) exec(ctx context.Context, c *conversation, start *warrenv1.ExecStart) error {
	t, err := a.find(start.GetTask())
	if err != nil {
		return err
	}
	if s := t.status.Load().GetState(); s != warrenv1.TaskState_TASK_STATE_RUNNING {
		want, _ := t.current()
		return status.Errorf(codes.FailedPrecondition, "task %s is %s, not running", want.GetMeta().GetName(), spec.TaskStateName(s))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := runtime.Exec{
		Args: start.GetArgs(), User: start.GetUser(), Workdir: start.GetWorkdir(), TTY: start.GetTty(),
		Stdout: execWriter{c, false}, Stderr: execWriter{c, true},
	}
	for _, v := range start.GetEnv() {
		e.Env = append(e.Env, v.GetName()+"="+v.GetValue())
	}
	resize, signal := make(chan runtime.Size, 1), make(chan syscall.Signal, 1)
	e.Resize, e.Signal = resize, signal
	if size := start.GetSize(); size != nil {
		resize <- runtime.Size{Rows: size.GetRows(), Columns: size.GetColumns()}
	}
	in, stdin := io.Pipe()
	if start.GetStdin() {
		e.Stdin = in
	}
	var input sync.WaitGroup
	defer input.Wait()
	defer cancel()
	defer in.Close()
	input.Go(func() { execInput(ctx, c, stdin, resize, signal) })
	code, err := a.cfg.Runtime.Exec(ctx, t.id, e)
	if err != nil {
		return err
	}
	return c.send(execFrame(&warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Exit{Exit: &warrenv1.ExecExit{Code: int32(code)}}}))
}

// execInput passes on what the caller types until ctx ends.
func execInput(ctx context.Context, c *conversation, stdin *io.PipeWriter, resize chan<- runtime.Size, signal chan<- syscall.Signal) {
	defer stdin.Close()
	for {
		var in *warrenv1.ExecInput
		select {
		case <-ctx.Done():
			return
		case f, ok := <-c.frames:
			if !ok {
				return
			}
			in = f.GetExec()
		}
		switch {
		case len(in.GetStdin()) > 0:
			// An error says that the command reads no more.
			_, _ = stdin.Write(in.GetStdin())
		case in.GetStdinClosed():
			stdin.Close()
		case in.GetResize() != nil:
			offer(ctx, resize, runtime.Size{Rows: in.GetResize().GetRows(), Columns: in.GetResize().GetColumns()})
		case in.GetSignal() != "":
			if number := unix.SignalNum(in.GetSignal()); number != 0 {
				offer(ctx, signal, number)
			}
		}
	}
}

func offer[T any](ctx context.Context, to chan<- T, value T) {
	select {
	case to <- value:
	case <-ctx.Done():
	}
}

// execWriter sends what a command prints.
type execWriter struct {
	c      *conversation
	stderr bool
}

// execPiece keeps a frame far below gRPC's limit for one message.
const execPiece = 64 << 10

func (w execWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), execPiece)]
		out := &warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Stdout{Stdout: piece}}
		if w.stderr {
			out = &warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Stderr{Stderr: piece}}
		}
		if err := w.c.send(execFrame(out)); err != nil {
			return written, err
		}
		written += len(piece)
		p = p[len(piece):]
	}
	return written, nil
}

func execFrame(out *warrenv1.ExecOutput) *warrenv1.WorkerFrame {
	return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Exec{Exec: out}}
}
