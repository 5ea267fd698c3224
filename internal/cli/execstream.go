package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"golang.org/x/term"
	"google.golang.org/grpc"
)

const stdinChunk = 32 << 10

// execStream sends from several sides: what is typed, signals, sizes.
type execStream struct {
	grpc.BidiStreamingClient[warrenv1.ExecInput, warrenv1.ExecOutput]
	mu sync.Mutex
}

func (e *execStream) send(in *warrenv1.ExecInput) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.Send(in)
}

// runExec runs a command to its end. What is typed is passed on by a goroutine
// that may still hang in a read of the terminal then; the process ends it.
func runExec(ctx context.Context, s *command.Shell, c *client.Client, start *warrenv1.ExecStart) error {
	stream, err := c.Tasks.ExecTask(ctx)
	if err != nil {
		return err
	}
	e := &execStream{BidiStreamingClient: stream}
	resized := make(chan os.Signal, 1) // from before the first size is told, so that none is missed
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	terminal, restore, err := rawTerminal(s, start)
	if err != nil {
		return err
	}
	defer restore()
	if err := e.send(&warrenv1.ExecInput{Input: &warrenv1.ExecInput_Start{Start: start}}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if terminal != nil {
		done := make(chan struct{})
		defer close(done)
		go e.followSize(terminal, resized, done)
	}
	if start.Stdin {
		go e.copyInput(s.In)
	}
	return e.copyOutput(s)
}

// rawTerminal hands every key to the command, Ctrl-C too; restore gives the
// terminal back. Without a terminal it does nothing.
func rawTerminal(s *command.Shell, start *warrenv1.ExecStart) (terminal *os.File, restore func(), err error) {
	nothing := func() {}
	in, _ := s.In.(*os.File)
	if !start.Tty || !command.Terminal(s.In) {
		return nil, nothing, nil
	}
	start.Size = size(in)
	if !start.Stdin {
		return in, nothing, nil
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, nothing, err
	}
	return in, func() { _ = term.Restore(int(in.Fd()), before) }, nil
}

func size(terminal *os.File) *warrenv1.TerminalSize {
	columns, rows, err := term.GetSize(int(terminal.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return nil
	}
	return &warrenv1.TerminalSize{Rows: uint32(rows), Columns: uint32(columns)}
}

// followSize tells the command when the terminal's size changes, until done.
func (e *execStream) followSize(terminal *os.File, resized <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-resized:
			if now := size(terminal); now != nil {
				_ = e.send(&warrenv1.ExecInput{Input: &warrenv1.ExecInput_Resize{Resize: now}})
			}
		}
	}
}

// copyInput passes standard input on; an error of the stream is seen by
// whoever reads the output.
func (e *execStream) copyInput(in io.Reader) {
	buffer := make([]byte, stdinChunk)
	for {
		n, err := in.Read(buffer)
		if n > 0 {
			data := append([]byte(nil), buffer[:n]...)
			if e.send(&warrenv1.ExecInput{Input: &warrenv1.ExecInput_Stdin{Stdin: data}}) != nil {
				return
			}
		}
		if err != nil {
			_ = e.send(&warrenv1.ExecInput{Input: &warrenv1.ExecInput_StdinClosed{StdinClosed: true}})
			return
		}
	}
}

// copyOutput shows what the command writes until it ends; its exit code is the
// error.
func (e *execStream) copyOutput(s *command.Shell) error {
	for {
		out, err := e.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the task's node ended the command without an exit code")
		}
		if err != nil {
			return err
		}
		switch o := out.GetOutput().(type) {
		case *warrenv1.ExecOutput_Stdout:
			_, err = s.Out.Write(o.Stdout)
		case *warrenv1.ExecOutput_Stderr:
			_, err = s.Err.Write(o.Stderr)
		case *warrenv1.ExecOutput_Exit:
			if o.Exit.GetCode() == 0 {
				return nil
			}
			return command.Status(o.Exit.GetCode())
		}
		if err != nil {
			return err
		}
	}
}
