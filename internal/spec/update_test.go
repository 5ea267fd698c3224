package spec

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestTwoWritersNeverMeet(t *testing.T) {
	const start, stop = warrenv1.UpdateOrder_UPDATE_ORDER_START_FIRST, warrenv1.UpdateOrder_UPDATE_ORDER_STOP_FIRST
	for name, c := range map[string]struct {
		asked     warrenv1.UpdateOrder
		volumes   []*warrenv1.VolumeMount
		network   warrenv1.NetworkMode
		exclusive bool
		want      warrenv1.UpdateOrder
	}{
		"nothing in the way":             {want: start},
		"asked to stop first":            {asked: stop, want: stop},
		"a volume that is written":       {volumes: []*warrenv1.VolumeMount{{Volume: "a"}}, want: stop},
		"a volume that is only read":     {volumes: []*warrenv1.VolumeMount{{Volume: "a", ReadOnly: true}}, want: start},
		"asked for, the writers agree":   {asked: start, volumes: []*warrenv1.VolumeMount{{Volume: "a"}}, want: start},
		"one task only, even if asked":   {asked: start, volumes: []*warrenv1.VolumeMount{{Volume: "a"}}, exclusive: true, want: stop},
		"one task only, even to read it": {volumes: []*warrenv1.VolumeMount{{Volume: "a", ReadOnly: true}}, exclusive: true, want: stop},
		"the same ports of the host":     {network: warrenv1.NetworkMode_NETWORK_MODE_HOST, want: stop},
	} {
		s := &warrenv1.ServiceSpec{Container: &warrenv1.ContainerSpec{Volumes: c.volumes, Network: c.network}, Update: &warrenv1.UpdateRules{Order: c.asked}}
		if got := UpdateOrder(s, func(string) bool { return c.exclusive }); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestVerdicts(t *testing.T) {
	task := func(change func(*warrenv1.TaskStatus)) *warrenv1.Task {
		s := &warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_RUNNING, StartedAt: timestamppb.Now()}
		change(s)
		return &warrenv1.Task{Meta: &warrenv1.Meta{Name: "web-task-1"}, SpecVersion: 1, Desired: warrenv1.DesiredState_DESIRED_STATE_RUNNING, Status: s}
	}
	code := int32(0)
	for name, c := range map[string]struct {
		task    *warrenv1.Task
		service *warrenv1.Service
		want    Verdict
		why     string
	}{
		"runs":     {task: task(func(*warrenv1.TaskStatus) {}), want: Works},
		"healthy":  {task: task(func(s *warrenv1.TaskStatus) { s.Health = warrenv1.Health_HEALTH_HEALTHY }), want: Works},
		"finished": {task: task(func(s *warrenv1.TaskStatus) { s.State, s.ExitCode = warrenv1.TaskState_TASK_STATE_FINISHED, &code }), want: Works},
		"not yet":  {task: task(func(s *warrenv1.TaskStatus) { s.Health = warrenv1.Health_HEALTH_STARTING }), want: Underway, why: "0 of 1 tasks run; web-task-1 is running, starting"},
		"waits": {task: task(func(s *warrenv1.TaskStatus) {
			s.State, s.Message = warrenv1.TaskState_TASK_STATE_PENDING, "no node is ready"
		}), want: Underway, why: "web-task-1 is pending: no node is ready"},
		"tries": {task: task(func(s *warrenv1.TaskStatus) { s.State, s.Restarts = warrenv1.TaskState_TASK_STATE_BACKOFF, 1 }), want: Underway},
		"crashes": {task: task(func(s *warrenv1.TaskStatus) {
			s.State, s.Restarts, s.Message = warrenv1.TaskState_TASK_STATE_BACKOFF, 3, "exited with code 3"
		}), want: Failed, why: "web-task-1: exited with code 3"},
		"no image": {task: task(func(s *warrenv1.TaskStatus) {
			s.State, s.StartedAt, s.Message = warrenv1.TaskState_TASK_STATE_BACKOFF, nil, "no such image"
		}), want: Failed, why: "no such image"},
		"gave up": {task: task(func(s *warrenv1.TaskStatus) {
			s.State, s.Message = warrenv1.TaskState_TASK_STATE_FINISHED, "not restarted"
		}), want: Failed, why: "not restarted"},
		"stopped":       {service: &warrenv1.Service{Stopped: true, StoppedReason: "by admin"}, want: Failed, why: "it is stopped: by admin"},
		"paused":        {service: &warrenv1.Service{Update: &warrenv1.ServiceUpdate{State: warrenv1.UpdateState_UPDATE_STATE_PAUSED, Message: "it crashed"}}, want: Failed, why: "it crashed"},
		"updating":      {service: &warrenv1.Service{Update: &warrenv1.ServiceUpdate{State: warrenv1.UpdateState_UPDATE_STATE_UPDATING}}, want: Underway, why: "the update goes on"},
		"being deleted": {service: &warrenv1.Service{DeletedAt: timestamppb.Now()}, want: Failed, why: "deleted"},
	} {
		s := c.service
		if s == nil {
			s = &warrenv1.Service{SpecVersion: 1, Spec: &warrenv1.ServiceSpec{Replicas: 1}, Tasks: []*warrenv1.Task{c.task}}
		}
		if got, why := ServiceVerdict(s); got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v, %q", name, got, why)
		}
	}
}

func TestAWrongClockIsNotWaitedForForEver(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	up := func(since time.Time) time.Duration {
		return UpFor(&warrenv1.TaskStatus{State: warrenv1.TaskState_TASK_STATE_RUNNING, StateSince: timestamppb.New(since)}, now)
	}
	if up(now.Add(-7*time.Second)) != 7*time.Second || up(now.Add(time.Hour)) < time.Minute {
		t.Errorf("up for %v, %v", up(now.Add(-7*time.Second)), up(now.Add(time.Hour)))
	}
}

func TestChangesAreNamed(t *testing.T) {
	from := &warrenv1.ServiceRevision{Spec: &warrenv1.ServiceSpec{Replicas: 1, Container: &warrenv1.ContainerSpec{Image: "web:1"}}}
	to := &warrenv1.ServiceRevision{Labels: map[string]string{"a": "b"}, Spec: &warrenv1.ServiceSpec{Replicas: 2, Container: &warrenv1.ContainerSpec{
		Image: "web:2", Env: []*warrenv1.EnvVar{{Name: "SECRET", Value: "hush"}}}}}
	if got := strings.Join(Changes(from, to), ", "); got != "image web:1 → web:2, env, replicas 1 → 2, labels" {
		t.Error(got)
	}
	if got := Changes(from, from); len(got) != 0 {
		t.Error(got)
	}
}
