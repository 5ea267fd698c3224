//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// serve is a container that answers over TCP and ends at once when told to.
var serve = []string{"--", "sh", "-c", "trap 'exit 0' TERM; httpd -f -p 8000 -h /etc & wait"}

func (n *node) createServe(name string, flags ...string) {
	n.t.Helper()
	n.run(append(append([]string{"service", "create", name, "--image", "busybox", "--update-monitor", "500ms"}, flags...), serve...)...)
	n.run("service", "wait", name, "--timeout", "60s")
}

// answers counts the tasks of a service that answer, all asked at once. It
// counts again when the tasks changed meanwhile: one that was asked may have
// been let go before it could answer.
func (n *node) answers(service string) int {
	for {
		before, err := n.tasks(service)
		if err != nil {
			return 0
		}
		var count atomic.Int32
		var asked sync.WaitGroup
		for _, t := range before {
			asked.Go(func() {
				c, err := net.DialTimeout("tcp", t.Address+":8000", time.Second)
				if err == nil {
					c.Close()
					count.Add(1)
				}
			})
		}
		asked.Wait()
		after, err := n.tasks(service)
		if err == nil && slices.Equal(states(before), states(after)) {
			return int(count.Load())
		}
	}
}

// states tells which tasks there are, and how each stands.
func states(tasks []task) (all []string) {
	for _, t := range tasks {
		all = append(all, t.ID+" "+t.State)
	}
	slices.Sort(all)
	return all
}

func TestAnUpdateNeverLeavesTheServiceWithoutItsTasks(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.createServe("web", "--replicas", "3")
	var least atomic.Int32
	least.Store(3)
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-done:
				return
			default:
				least.Store(min(least.Load(), int32(n.answers("web"))))
			}
		}
	}()
	out := n.run("service", "update", "web", "--env", "LEVEL=2")
	close(done)
	<-watched
	if least.Load() < 3 {
		t.Errorf("at some time only %d tasks answered", least.Load())
	}
	for _, want := range []string{"web-task-1 (new): running", "3 of 3 tasks run revision 2", "Service web updated: revision 2"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	for _, task := range n.running("web", 3) {
		if env := n.run("exec", task.ID, "--", "env"); !strings.Contains(env, "LEVEL=2") {
			t.Errorf("%s has %q", task.Name, env)
		}
	}
	if ps := n.run("service", "ps", "web"); strings.Count(ps, "stopped") != 3 || strings.Count(ps, "running") != 3 {
		t.Errorf("the tasks before are not shown:\n%s", ps)
	}
}

func TestWritersOfAVolumeDoNotMeet(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	// It notes its begin and its end, and takes its time to end.
	n.run("service", "create", "db", "--image", "busybox", "--volume", "data:/data", "--update-monitor", "100ms", "--",
		"sh", "-c", "echo begin >> /data/log; trap 'sleep 0.5; echo end >> /data/log; exit 0' TERM; while :; do sleep 0.1; done")
	n.run("service", "wait", "db", "--timeout", "60s")
	n.run("service", "update", "db", "--force-recreate")
	n.run("service", "update", "db", "--env", "A=1")
	if log := n.run("exec", "db-task-1", "--", "cat", "/data/log"); log != "begin\nend\nbegin\nend\nbegin\n" {
		t.Errorf("the writers met: %q", log)
	}
}

func TestUpdatesThatFail(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.createServe("web", "--replicas", "2")
	bad := map[string][]string{
		"an image that does not exist": {"--image", "127.0.0.1:1/nowhere:1"},
		"one that crashes":             {"--", "sh", "-c", "exit 7"},
		"one that never gets healthy":  {"--health-cmd", "false", "--health-interval", "100ms", "--health-retries", "1", "--health-start-period", "300ms"},
	}
	words := map[string]string{
		"an image that does not exist": "127.0.0.1:1/nowhere:1", "one that crashes": "exited with code 7", "one that never gets healthy": "unhealthy",
	}
	for what, flags := range bad {
		t.Log(what)
		update := func(action string) string {
			return n.refused(1, append([]string{"service", "update", "web", "--update-failure-action", action}, flags...)...)
		}
		if said := update("pause"); !strings.Contains(said, "is paused") || !strings.Contains(said, words[what]) || !strings.Contains(said, "warren service rollback web") {
			t.Errorf("%s, pause: %s", what, said)
		}
		if said := n.refused(1, "service", "wait", "web", "--timeout", "30s"); !strings.Contains(said, words[what]) {
			t.Errorf("%s, wait: %s", what, said)
		}
		if got := n.answers("web"); got < 2 {
			t.Errorf("%s: while it is paused %d tasks answer", what, got)
		}
		n.run("service", "rollback", "web")
		if said := update("rollback"); !strings.Contains(said, "failed and was rolled back") || !strings.Contains(said, words[what]) {
			t.Errorf("%s, rollback: %s", what, said)
		}
		n.run("service", "wait", "web", "--timeout", "60s")
		n.running("web", 2)
		if said := update("continue"); !strings.Contains(said, "2 of 2 tasks failed") {
			t.Errorf("%s, continue: %s", what, said)
		}
		n.run("service", "rollback", "web")
		n.running("web", 2)
	}
}

func TestInterruptingAnUpdateLeavesItToGoOn(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.createServe("web", "--replicas", "2", "--update-delay", "1s")
	cmd := exec.Command(binary(t), "service", "update", "web", "--env", "A=1")
	cmd.Env = n.env()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := out.Read(first); err != nil { // its first step
		t.Fatal(err)
	}
	cmd.Process.Signal(os.Interrupt)
	go func() {
		rest := make([]byte, 1024)
		for {
			if _, err := out.Read(rest); err != nil {
				return
			}
		}
	}()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(said.String(), "goes on") {
		t.Errorf("exit %d: %s", code, said.String())
	}
	n.run("service", "wait", "web", "--timeout", "60s")
	if history := n.run("service", "inspect", "web"); !strings.Contains(history, "Update: completed") {
		t.Errorf("it did not go on:\n%s", history)
	}
}

// The manager may be killed in the middle of an update.
func TestAnUpdateSurvivesTheManager(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.createServe("web", "--replicas", "3", "--update-delay", "500ms")
	n.run("service", "update", "web", "--detach", "--env", "A=1")
	n.eventually("it has begun", func() error {
		if ps := n.run("service", "ps", "web"); !strings.Contains(ps, "web-task-1   2") {
			return fmt.Errorf("%s", ps)
		}
		return nil
	})
	n.end(syscall.SIGKILL)
	n.start()
	n.run("service", "wait", "web", "--timeout", "60s")
	for _, task := range n.running("web", 3) {
		if env := n.run("exec", task.ID, "--", "env"); !strings.Contains(env, "A=1") {
			t.Errorf("%s was not replaced", task.Name)
		}
	}
}
