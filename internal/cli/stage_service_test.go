package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// The guide's service, its task and its node.

func someTask() *warrenv1.Task {
	code := int32(137)
	return &warrenv1.Task{
		Meta: meta("postgres-1-abcdefghij", "postgres-task-1", moment, nil), Service: "postgres", ServiceId: "svc-postgres-abc123",
		Slot: 1, Incarnation: 2, NodeId: "node-worker-1", NodeName: "worker-1", Container: someContainer(),
		Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING,
		Status: &warrenv1.TaskStatus{
			State: warrenv1.TaskState_TASK_STATE_RUNNING, ExitCode: &code, ExitReason: "killed by SIGKILL",
			Health: warrenv1.Health_HEALTH_HEALTHY, Restarts: 1, Address: "10.88.0.2", StartedAt: moment,
		},
	}
}

func someContainer() *warrenv1.ContainerSpec {
	return &warrenv1.ContainerSpec{
		Image:   "postgres:15",
		Env:     []*warrenv1.EnvVar{{Name: "POSTGRES_PASSWORD_FILE", Value: "/run/secrets/db-password"}},
		Volumes: []*warrenv1.VolumeMount{{Volume: "db-data", Path: "/var/lib/postgresql/data"}},
		Secrets: []*warrenv1.SecretMount{{Secret: "db-password"}},
	}
}

func someServices() []*warrenv1.Service {
	return []*warrenv1.Service{{
		Meta:    meta("svc-postgres-abc123", "postgres", ago(50*time.Hour), nil),
		Spec:    &warrenv1.ServiceSpec{Container: someContainer(), Replicas: 1},
		Tasks:   []*warrenv1.Task{someTask()},
		Running: 1, Checked: 1, Healthy: 1, SpecVersion: 1,
	}}
}

func (st *stage) ListServices(context.Context, *warrenv1.Filter) (*warrenv1.ListServicesResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return &warrenv1.ListServicesResponse{Services: st.services}, nil
}

func (st *stage) service(ref *warrenv1.Ref) (*warrenv1.Service, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.services {
		if named(s.GetMeta(), ref.GetNameOrId()) {
			s.Meta.CreatedAt = moment
			return s, nil
		}
	}
	return nil, missing("service", ref.GetNameOrId())
}

func (st *stage) GetService(_ context.Context, ref *warrenv1.Ref) (*warrenv1.Service, error) {
	return st.service(ref)
}

func (st *stage) CreateService(_ context.Context, r *warrenv1.CreateServiceRequest) (*warrenv1.CreateServiceResponse, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s := &warrenv1.Service{Meta: meta("svc-"+r.Name+"-xyz789", r.Name, moment, r.Labels), Spec: r.Spec, SpecVersion: 1}
	st.services = append(st.services, s)
	answer := &warrenv1.CreateServiceResponse{Service: s}
	if r.Spec.Replicas > 1 && len(r.Spec.Container.Volumes) > 0 {
		answer.Warnings = []string{"all replicas share one local volume and run on its node"}
	}
	return answer, nil
}

func (st *stage) ScaleService(_ context.Context, r *warrenv1.ScaleServiceRequest) (*warrenv1.Service, error) {
	s, err := st.service(r.Ref)
	if err == nil {
		s.Spec.Replicas = r.Replicas
	}
	return s, err
}

func (st *stage) StopService(_ context.Context, r *warrenv1.StopServiceRequest) (*warrenv1.Service, error) {
	s, err := st.service(r.Ref)
	if err == nil {
		s.Stopped, s.StoppedReason, s.Running, s.Tasks = true, "stopped by admin", 0, nil
	}
	return s, err
}

func (st *stage) StartService(_ context.Context, r *warrenv1.StartServiceRequest) (*warrenv1.Service, error) {
	s, err := st.service(r.Ref)
	if err == nil {
		s.Stopped, s.StoppedReason = false, ""
	}
	return s, err
}

func (st *stage) DeleteService(_ context.Context, r *warrenv1.DeleteServiceRequest) (*warrenv1.Service, error) {
	s, err := st.service(r.Ref)
	if err == nil {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.services = slices.DeleteFunc(st.services, func(other *warrenv1.Service) bool { return other == s })
	}
	return s, err
}

func (st *stage) ServiceLogs(r *warrenv1.ServiceLogsRequest, stream grpc.ServerStreamingServer[warrenv1.LogEntry]) error {
	if _, err := st.service(r.Ref); err != nil {
		return err
	}
	entries := []*warrenv1.LogEntry{
		{Stream: warrenv1.LogEntry_STREAM_STDOUT, Line: []byte("ready to accept connections")},
		{Stream: warrenv1.LogEntry_STREAM_STDERR, Line: []byte("a warning")},
	}
	if r.Tail != nil {
		entries = entries[len(entries)-int(*r.Tail):]
	}
	for _, e := range entries {
		e.TaskName, e.Time = "postgres-task-1", moment
		if err := stream.Send(e); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) ListTasks(_ context.Context, r *warrenv1.ListTasksRequest) (*warrenv1.ListTasksResponse, error) {
	if r.Service != "" && r.Service != "postgres" {
		return nil, missing("service", r.Service)
	}
	t := someTask()
	t.Meta.CreatedAt = ago(50 * time.Hour)
	return &warrenv1.ListTasksResponse{Tasks: []*warrenv1.Task{t}}, nil
}

func (st *stage) GetTask(_ context.Context, ref *warrenv1.Ref) (*warrenv1.Task, error) {
	if t := someTask(); named(t.Meta, ref.NameOrId) {
		return t, nil
	}
	return nil, missing("task", ref.NameOrId)
}

// ExecTask plays three commands: echo, cat and exit CODE.
func (st *stage) ExecTask(stream grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start.GetTask().GetNameOrId() != "postgres-task-1" {
		return missing("task", start.GetTask().GetNameOrId())
	}
	var code int32
	switch start.Args[0] {
	case "echo":
		out := &warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Stdout{Stdout: []byte(strings.Join(start.Args[1:], " ") + "\n")}}
		if err := stream.Send(out); err != nil {
			return err
		}
	case "cat":
		if err := playCat(stream); err != nil {
			return err
		}
	case "size":
		out := fmt.Sprintf("%dx%d tty=%v\n", start.GetSize().GetColumns(), start.GetSize().GetRows(), start.Tty)
		if err := stream.Send(&warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Stdout{Stdout: []byte(out)}}); err != nil {
			return err
		}
	case "exit":
		if _, err := fmt.Sscan(start.Args[1], &code); err != nil {
			return err
		}
	default:
		return refuse(codes.FailedPrecondition, "task", "postgres-task-1", "there is no "+start.Args[0]+" in the container", "")
	}
	return stream.Send(&warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Exit{Exit: &warrenv1.ExecExit{Code: code}}})
}

func playCat(stream grpc.BidiStreamingServer[warrenv1.ExecInput, warrenv1.ExecOutput]) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) || in.GetStdinClosed() {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&warrenv1.ExecOutput{Output: &warrenv1.ExecOutput_Stdout{Stdout: in.GetStdin()}}); err != nil {
			return err
		}
	}
}
