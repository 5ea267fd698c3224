package agent

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/runtime/logs"
)

type talk = grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]

// converse asks the worker for a stream and returns when talk has ended.
func (n *node) converse(t *testing.T, open *warrenv1.OpenStream, talk func(talk) error) {
	t.Helper()
	open.Id = t.Name()
	ended := make(chan error, 1)
	n.boss.change(func() {
		n.boss.streams[open.Id] = func(s grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]) error {
			err := talk(s)
			ended <- err
			return err
		}
	})
	n.boss.send(t, &warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_OpenStream{OpenStream: open}})
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// load sends an archive of that content and returns the answer.
func (n *node) load(t *testing.T, content string, failure **warrenv1.StreamError) (images *warrenv1.ListImagesResponse) {
	t.Helper()
	open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_ImageLoad{ImageLoad: &warrenv1.OpenImageLoad{}}}
	n.converse(t, open, func(s talk) error {
		for _, chunk := range []string{content[:3], content[3:], ""} {
			if err := s.Send(&warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Chunk{Chunk: []byte(chunk)}}); err != nil {
				return err
			}
		}
		f, err := s.Recv()
		images = f.GetImages()
		if failure != nil {
			*failure = f.GetError()
		}
		return err
	})
	return images
}

func TestRubbishIsNoImage(t *testing.T) {
	onNode(t, func(n *node) {
		var failure *warrenv1.StreamError
		n.load(t, "rubbish", &failure)
		if failure.GetMessage() != "not an image archive" {
			t.Errorf("answer %v", failure)
		}
	})
}

func TestArchiveCutShortIsNotImported(t *testing.T) {
	onNode(t, func(n *node) {
		open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_ImageLoad{ImageLoad: &warrenv1.OpenImageLoad{}}}
		n.converse(t, open, func(s talk) error {
			return s.Send(&warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Chunk{Chunk: []byte("docker.io/half:1")}})
		})
		n.pass(time.Second)
		images, err := n.machine.List(t.Context())
		if err != nil || len(images) != 1 {
			t.Errorf("images %v, %v", images, err)
		}
	})
}

func TestImagesAreListed(t *testing.T) {
	onNode(t, func(n *node) {
		open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_ImageList{ImageList: &warrenv1.OpenImageList{}}}
		n.converse(t, open, func(s talk) error {
			f, err := s.Recv()
			if images := f.GetImages().GetImages(); len(images) != 1 || images[0].GetName() != "docker.io/library/app:1" || images[0].GetNodeName() != "host-1" {
				t.Errorf("images %v", images)
			}
			return err
		})
	})
}

func TestExecPassesEverythingOn(t *testing.T) {
	onNode(t, func(n *node) {
		n.machine.exec = func(_ context.Context, e runtime.Exec) (int, error) {
			if !slices.Equal(e.Args, []string{"sh"}) || !e.TTY || e.User != "me" || !slices.Equal(e.Env, []string{"A=b"}) {
				t.Errorf("asked for %+v", e)
			}
			if size := <-e.Resize; size != (runtime.Size{Rows: 24, Columns: 80}) {
				t.Errorf("size %v", size)
			}
			if s := <-e.Signal; s != syscall.SIGINT {
				t.Errorf("signal %v", s)
			}
			typed, err := io.ReadAll(e.Stdin)
			if err != nil {
				return 0, err
			}
			fmt.Fprintf(e.Stdout, "%s!", typed)
			fmt.Fprint(e.Stderr, strings.Repeat("x", 2*execPiece))
			return 7, nil
		}
		n.full(aTask("t1"))
		n.is("t1", running)
		open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Exec{Exec: &warrenv1.ExecStart{
			Task: &warrenv1.Ref{NameOrId: "app-task-1"}, Args: []string{"sh"}, Tty: true, Stdin: true, User: "me",
			Env: []*warrenv1.EnvVar{{Name: "A", Value: "b"}}, Size: &warrenv1.TerminalSize{Rows: 24, Columns: 80},
		}}}
		n.converse(t, open, func(s talk) error {
			for _, in := range []*warrenv1.ExecInput{
				{Input: &warrenv1.ExecInput_Signal{Signal: "SIGINT"}},
				{Input: &warrenv1.ExecInput_Stdin{Stdin: []byte("hello ")}},
				{Input: &warrenv1.ExecInput_Stdin{Stdin: []byte("there")}},
				{Input: &warrenv1.ExecInput_StdinClosed{StdinClosed: true}},
			} {
				if err := s.Send(&warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Exec{Exec: in}}); err != nil {
					return err
				}
			}
			out, errors := "", 0
			for {
				f, err := s.Recv()
				if err != nil {
					return err
				}
				out += string(f.GetExec().GetStdout())
				errors += len(f.GetExec().GetStderr())
				if exit := f.GetExec().GetExit(); exit != nil {
					if exit.GetCode() != 7 || out != "hello there!" || errors != 2*execPiece {
						t.Errorf("exit %v, stdout %q, %d bytes of stderr", exit, out, errors)
					}
					if _, err := s.Recv(); err != io.EOF {
						t.Errorf("after the end: %v", err)
					}
					return nil
				}
			}
		})
	})
}

func TestExecEndsWithItsCaller(t *testing.T) {
	onNode(t, func(n *node) {
		ended := make(chan struct{})
		n.machine.exec = func(ctx context.Context, _ runtime.Exec) (int, error) {
			<-ctx.Done()
			close(ended)
			return 0, ctx.Err()
		}
		n.full(aTask("t1"))
		n.is("t1", running)
		open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Exec{Exec: &warrenv1.ExecStart{Task: &warrenv1.Ref{NameOrId: "t1"}}}}
		n.converse(t, open, func(talk) error { return nil })
		<-ended
	})
}

func TestExecIsRefusedWhereNothingRuns(t *testing.T) {
	for _, c := range []struct {
		task string
		code codes.Code
	}{{"t1", codes.FailedPrecondition}, {"nobody", codes.NotFound}} {
		t.Run(c.task, func(t *testing.T) {
			onNode(t, func(n *node) {
				task := aTask("t1")
				task.Container.Image = "missing:1"
				n.full(task)
				n.is("t1", backingUp)
				open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Exec{Exec: &warrenv1.ExecStart{Task: &warrenv1.Ref{NameOrId: c.task}}}}
				n.converse(n.T, open, func(s talk) error {
					f, err := s.Recv()
					if f.GetError().GetCode() != int32(c.code) {
						t.Errorf("answer %v, %v", f, err)
					}
					return err
				})
			})
		})
	}
}

func TestLogsAreFollowedUntilTheTaskIsOver(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		w, err := logs.NewWriter(n.machine.asked("t1").LogPath, logs.DefaultMaxBytes, logs.DefaultMaxFiles)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		say := func(stream logs.Stream, line string) {
			if err := w.Write(logs.Entry{Time: time.Now(), Stream: stream, Line: []byte(line)}); err != nil {
				t.Error(err)
			}
		}
		say(logs.Stdout, "one")
		say(logs.Stderr, "two")
		open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_Logs{Logs: &warrenv1.OpenLogs{TaskId: "t1", Follow: true}}}
		n.converse(t, open, func(s talk) error {
			for _, want := range []string{"STREAM_STDOUT one", "STREAM_STDERR two", "STREAM_STDOUT three"} {
				f, err := s.Recv()
				if err != nil {
					return err
				}
				if got := f.GetLog().GetStream().String() + " " + string(f.GetLog().GetLine()); got != want || f.GetLog().GetTaskName() != "app-task-1" {
					t.Errorf("heard %v, want %s", f, want)
				}
				if want == "STREAM_STDERR two" {
					say(logs.Stdout, "three")
				}
			}
			n.full(unwanted(aTask("t1")))
			if _, err := s.Recv(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
			return nil
		})
	})
}
