package cli

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/testkit/pty"
	"golang.org/x/term"
	"google.golang.org/grpc"
)

// execServer hands each ExecTask to a play.
type execServer struct {
	warrenv1.UnimplementedTasksServer
	play func(grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error
}

func (e execServer) ExecTask(stream grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
	return e.play(stream)
}

func dialExec(t *testing.T, play execServer) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	warrenv1.RegisterTasksServer(server, play)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	c, err := client.Dial(t.Context(), client.Options{Manager: "unix://" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestATerminalIsTheCommandsUntilItEnds(t *testing.T) {
	outside, inside := pty.Open(t)
	pty.Resize(t, outside, 80, 24)
	before, err := term.GetState(int(inside.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c := dialExec(t, execServer{play: func(stream grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
		first, err := stream.Recv()
		if err != nil {
			return err
		}
		if got := first.GetStart().GetSize(); got.GetColumns() != 80 || got.GetRows() != 24 {
			t.Errorf("the command starts with size %v", got)
		}
		// The terminal is raw by now: Ctrl-C is a key like any other.
		if _, err := outside.WriteString("\x03"); err != nil {
			return err
		}
		in, err := stream.Recv()
		if err != nil || string(in.GetStdin()) != "\x03" {
			t.Errorf("Ctrl-C became %v, %v", in, err)
		}
		return stream.Send(&warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Exit{Exit: &warrenv1.ExecExit{Code: 7}}})
	}})
	s := &command.Shell{In: inside, Out: inside, Err: inside}
	err = runExec(t.Context(), s, c, &warrenv1.ExecStart{Tty: true, Stdin: true})
	if err != command.Status(7) {
		t.Errorf("it ended with %v", err)
	}
	after, err := term.GetState(int(inside.Fd()))
	if err != nil || *after != *before {
		t.Errorf("the terminal was not given back: %v, %v", after, err)
	}
}

func TestTheCommandLearnsOfAnotherSize(t *testing.T) {
	outside, inside := pty.Open(t)
	pty.Resize(t, outside, 80, 24)
	c := dialExec(t, execServer{play: func(stream grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		pty.Resize(t, outside, 132, 43)
		// Not the process group's terminal: it is told by hand.
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGWINCH); err != nil {
			return err
		}
		in, err := stream.Recv()
		if err != nil || in.GetResize().GetColumns() != 132 || in.GetResize().GetRows() != 43 {
			t.Errorf("got %v, %v", in, err)
		}
		return stream.Send(&warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Exit{Exit: &warrenv1.ExecExit{}}})
	}})
	s := &command.Shell{In: inside, Out: inside, Err: inside}
	if err := runExec(t.Context(), s, c, &warrenv1.ExecStart{Tty: true}); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestACommandThatEndsWithoutACodeIsAnError(t *testing.T) {
	c := dialExec(t, execServer{play: func(stream grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
		_, err := stream.Recv()
		return err
	}})
	if err := runExec(t.Context(), &command.Shell{}, c, &warrenv1.ExecStart{}); err == nil {
		t.Error("it ended well")
	}
}
