//go:build bench

package bench

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// Each task is hurt once only, since the patience with one that keeps
	// ending grows: its first restart comes after 0.2 s.
	hurtTasks = 20
	// With this interval and two retries, it takes from 1 to 2 s to notice.
	checkInterval = time.Second
)

// TestReact kills the processes of tasks, and has others say that they are not
// well, and waits until their successors run, and answer.
func TestReact(t *testing.T) {
	n, r := startNode(t), result
	n.loadWeb(t)
	n.run(t, "service", "create", "web", "--image", webImages[0], "--replicas", fmt.Sprint(hurtTasks),
		"--health-http", ":80/", "--health-interval", checkInterval.String(), "--health-retries", "2")
	n.run(t, "service", "wait", "web")
	defer n.run(t, "service", "delete", "web")

	var seen, crashed, unwell samples
	for i, id := range n.taskIDs(t, "web") {
		began := time.Now()
		if i%2 == 0 {
			n.signal(t, id, syscall.SIGKILL)
			n.awaitTask(t, id, func(s *warrenv1.TaskStatus) bool { return s.GetFinishedAt() != nil })
			seen = append(seen, time.Since(began).Seconds()*1e3)
			n.awaitTask(t, id, wellAgain)
			crashed = append(crashed, time.Since(began).Seconds()*1e3)
		} else {
			n.signal(t, id, syscall.SIGUSR1)
			n.awaitTask(t, id, wellAgain)
			unwell = append(unwell, time.Since(began).Seconds()*1e3)
		}
	}
	r.measurement("crash of a task until the API says so", "ms", seen)
	r.measurement("crash of a task until its successor is healthy", "ms", crashed)
	r.measurement("unhealthy task (1 s, 2 tries) until its successor is healthy", "ms", unwell)
}

// wellAgain is said of a task that was restarted, and does its work.
func wellAgain(s *warrenv1.TaskStatus) bool {
	return s.GetRestarts() > 0 && s.GetHealth() == warrenv1.Health_HEALTH_HEALTHY
}

func (n *node) taskIDs(t *testing.T, service string) (ids []string) {
	t.Helper()
	list, err := n.client.Tasks.ListTasks(t.Context(), &warrenv1.ListTasksRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range list.GetTasks() {
		ids = append(ids, task.GetMeta().GetId())
	}
	return ids
}

// awaitTask asks for a task until its status is as it shall be. The answer may
// be late by the pause between two questions.
func (n *node) awaitTask(t *testing.T, id string, is func(*warrenv1.TaskStatus) bool) {
	t.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for limit := time.Now().Add(patience); time.Now().Before(limit); <-again.C {
		task, err := n.client.Tasks.GetTask(t.Context(), &warrenv1.Ref{NameOrId: id})
		if err != nil {
			t.Fatal(err)
		}
		if is(task.GetStatus()) {
			return
		}
	}
	t.Fatalf("waited in vain for task %s", id)
}

// signal sends a signal to the process of a task's container.
func (n *node) signal(t *testing.T, id string, s syscall.Signal) {
	t.Helper()
	c, err := client.New(filepath.Join(n.runDir(), "containerd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := namespaces.WithNamespace(t.Context(), "warren")
	container, err := c.LoadContainer(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	process, err := container.Task(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(int(process.Pid()), s); err != nil {
		t.Fatal(err)
	}
}
