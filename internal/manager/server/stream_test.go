package server_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

func logLine(text string) *warrenv1.WorkerFrame {
	return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Log{Log: &warrenv1.LogEntry{Line: []byte(text)}}}
}

func stdout(text string) *warrenv1.WorkerFrame {
	return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Exec{Exec: &warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Stdout{Stdout: []byte(text)}}}}
}

func exited(code int32) *warrenv1.WorkerFrame {
	return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Exec{Exec: &warrenv1.ExecOutput{
		Output: &warrenv1.ExecOutput_Exit{Exit: &warrenv1.ExecExit{Code: code}}}}}
}

func execStart(task string, args ...string) *warrenv1.ExecInput {
	return &warrenv1.ExecInput{Input: &warrenv1.ExecInput_Start{Start: &warrenv1.ExecStart{Task: ref(task), Args: args}}}
}

func TestExecPassesBothWays(t *testing.T) {
	c := newCluster(t)
	w := c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "app")
	var asked *warrenv1.ExecStart
	w.serve(func(open *warrenv1.OpenStream) *fakeStream {
		asked = open.GetExec()
		s := &fakeStream{up: make(chan *warrenv1.WorkerFrame, 2)}
		s.heard = func(f *warrenv1.ManagerFrame) { // a shell that says what it is told, and exits
			s.up <- stdout(string(f.GetExec().GetStdin()))
			s.up <- exited(7)
		}
		return s
	})
	call, err := a.ExecTask(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(call.Send(execStart("app-task-1", "sh")),
		call.Send(&warrenv1.ExecInput{Input: &warrenv1.ExecInput_Stdin{Stdin: []byte("hello")}})); err != nil {
		t.Fatal(err)
	}
	out, err := call.Recv()
	if err != nil || string(out.GetStdout()) != "hello" {
		t.Fatalf("got %v, %v", out, err)
	}
	if out, err = call.Recv(); err != nil || out.GetExit().GetCode() != 7 {
		t.Fatalf("got %v, %v", out, err)
	}
	if _, err = call.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	if !strings.HasPrefix(asked.GetTask().GetNameOrId(), "app-1-") || asked.GetArgs()[0] != "sh" {
		t.Errorf("the worker was asked for %v", asked)
	}
}

func TestExecThatIsRefused(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	exec := func(start *warrenv1.ExecInput) error {
		call, err := a.ExecTask(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Send(start); err != nil {
			t.Fatal(err)
		}
		_, err = call.Recv()
		return err
	}
	wantError(t, exec(execStart("app-task-1", "sh")), codes.NotFound, `task "app-task-1" does not exist`)
	wantError(t, exec(execStart("app-task-1")), codes.InvalidArgument, "no command")
	wantError(t, exec(&warrenv1.ExecInput{}), codes.InvalidArgument, "no command")
	if _, err := a.CreateService(ctx, serviceRequest("app")); err != nil {
		t.Fatal(err)
	}
	c.until("there is a task", func(tx *store.ReadTx) bool { _, err := tx.Tasks().ByName("", "app-task-1"); return err == nil })
	wantError(t, exec(execStart("app-task-1", "sh")), codes.FailedPrecondition, "not running but pending")
	w := c.addWorker("worker-1", &worker{})
	c.running("app", 1)
	w.serve(func(*warrenv1.OpenStream) *fakeStream { return saying(stdout("x")) })
	call, err := a.ExecTask(ctx)
	if err == nil {
		err = call.Send(execStart("app-task-1", "sh"))
	}
	for err == nil {
		_, err = call.Recv()
	}
	wantError(t, err, codes.Unavailable, "did not say how the command")
}

func TestLogsOfAllTasks(t *testing.T) {
	c := newCluster(t)
	w := c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "app")
	if _, err := a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("app"), Replicas: 2}); err != nil {
		t.Fatal(err)
	}
	c.running("app", 2)
	w.serve(func(open *warrenv1.OpenStream) *fakeStream {
		if !strings.HasPrefix(open.GetLogs().GetTaskId(), "app-1-") && !strings.HasPrefix(open.GetLogs().GetTaskId(), "app-2-") {
			t.Errorf("asked for %v", open)
		}
		return saying(logLine("one"), logLine("two"))
	})
	got := readLogs(t, a, &warrenv1.ServiceLogsRequest{Ref: ref("app")}, 4)
	if want := "app-task-1 one,app-task-1 two,app-task-2 one,app-task-2 two"; strings.Join(got, ",") != want {
		t.Errorf("got %v", got)
	}
	// One log that is gone does not hide the others.
	w.serve(func(open *warrenv1.OpenStream) *fakeStream {
		if strings.HasPrefix(open.GetLogs().GetTaskId(), "app-1-") {
			s := saying()
			s.err = status.Error(codes.NotFound, "no such log")
			return s
		}
		return saying(logLine("still here"))
	})
	if got := readLogs(t, a, &warrenv1.ServiceLogsRequest{Ref: ref("app")}, 1); got[0] != "app-task-2 still here" {
		t.Errorf("got %v", got)
	}
	_, err := readLog(a, &warrenv1.ServiceLogsRequest{Ref: ref("other")})
	wantError(t, err, codes.NotFound, "does not exist")
}

func TestFollowedLogsGoOnWithNewTasks(t *testing.T) {
	c := newCluster(t)
	w := c.addWorker("worker-1", &worker{})
	a := c.admin()
	createService(t, c, a, "app")
	w.serve(func(open *warrenv1.OpenStream) *fakeStream { return saying(logLine("hello")) })
	follow, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	call, err := a.ServiceLogs(follow, &warrenv1.ServiceLogsRequest{Ref: ref("app"), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range []string{"app-task-1", "app-task-2"} {
		entry, err := call.Recv()
		if err != nil || entry.GetTaskName() != task {
			t.Fatalf("got %v, %v", entry, err)
		}
		if _, err := a.ScaleService(ctx, &warrenv1.ScaleServiceRequest{Ref: ref("app"), Replicas: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("app")}); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the service is gone, its log goes on: %v", err)
	}
}

func readLog(a api, r *warrenv1.ServiceLogsRequest) (lines []string, err error) {
	call, err := a.ServiceLogs(ctx, r)
	for err == nil {
		var entry *warrenv1.LogEntry
		if entry, err = call.Recv(); err == nil {
			lines = append(lines, entry.GetTaskName()+" "+string(entry.GetLine()))
		}
	}
	return lines, err
}

func readLogs(t *testing.T, a api, r *warrenv1.ServiceLogsRequest, want int) []string {
	t.Helper()
	lines, err := readLog(a, r)
	if !errors.Is(err, io.EOF) || len(lines) != want {
		t.Fatalf("got %v, %v", lines, err)
	}
	return lines
}

func TestImagesGoToEveryNode(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	_, err := a.ListImages(ctx, &warrenv1.ListImagesRequest{})
	wantError(t, err, codes.Unavailable, "no node is ready")

	images := func(names ...string) *warrenv1.WorkerFrame {
		r := &warrenv1.ListImagesResponse{}
		for _, n := range names {
			r.Images = append(r.Images, &warrenv1.Image{Name: n})
		}
		return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Images{Images: r}}
	}
	archives := map[string]string{}
	for _, name := range []string{"worker-1", "worker-2"} {
		c.addWorker(name, &worker{}).serve(func(open *warrenv1.OpenStream) *fakeStream {
			if open.GetImageList() != nil {
				return saying(images("b:1", "a:1"))
			}
			s := &fakeStream{up: make(chan *warrenv1.WorkerFrame, 1)}
			s.heard = func(f *warrenv1.ManagerFrame) {
				archives[name] += string(f.GetChunk())
				if len(f.GetChunk()) == 0 {
					s.up <- images("loaded:" + archives[name])
				}
			}
			return s
		})
	}
	list, err := a.ListImages(ctx, &warrenv1.ListImagesRequest{})
	if err != nil || len(list.GetImages()) != 4 || list.GetImages()[0].GetName() != "a:1" || list.GetImages()[1].GetNodeName() != "worker-2" {
		t.Errorf("got %v, %v", list, err)
	}
	call, err := a.LoadImage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []string{"arch", "", "ive"} {
		if err := call.Send(&warrenv1.LoadImageRequest{Chunk: []byte(chunk)}); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := call.CloseAndRecv()
	if err != nil || len(loaded.GetImages()) != 2 || loaded.GetImages()[1].GetName() != "loaded:archive" {
		t.Errorf("got %v, %v", loaded, err)
	}

	c.addWorker("worker-3", &worker{deaf: true})
	if list, err := a.ListImages(ctx, &warrenv1.ListImagesRequest{}); err != nil || len(list.GetImages()) != 4 {
		t.Errorf("one silent node hides the others: %v, %v", list, err)
	}
	call, err = a.LoadImage(ctx)
	if err == nil {
		_, err = call.CloseAndRecv()
	}
	wantError(t, err, codes.Unavailable, "not connected")
}

func TestEvents(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	happen := func(reason string, at time.Time) {
		c.update(func(tx *store.Tx) error {
			return tx.Events().Append(&warrenv1.Event{Kind: "task", Reason: reason, Time: timestamppb.New(at)})
		})
	}
	happen("crashed", early)
	happen("recreated", late)
	read := func(r *warrenv1.ListEventsRequest) (reasons []string) {
		call, err := a.ListEvents(ctx, r)
		for err == nil {
			var e *warrenv1.Event
			if e, err = call.Recv(); err == nil {
				reasons = append(reasons, e.GetReason())
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		return reasons
	}
	if got := read(&warrenv1.ListEventsRequest{}); strings.Join(got, ",") != "crashed,recreated" {
		t.Errorf("got %v", got)
	}
	if got := read(&warrenv1.ListEventsRequest{Since: timestamppb.New(late)}); strings.Join(got, ",") != "recreated" {
		t.Errorf("got %v", got)
	}
	call, err := a.ListEvents(ctx, &warrenv1.ListEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"crashed", "recreated", "image-collected"} {
		if i == 2 {
			happen(want, late)
		}
		if e, err := call.Recv(); err != nil || e.GetReason() != want || e.GetSequence() != uint64(i+1) {
			t.Fatalf("got %v, %v", e, err)
		}
	}
}
