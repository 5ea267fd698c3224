//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServiceLife(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "web", "--image", "busybox", "--replicas", "2", "--label", "tier=front", "--env", "GREETING=hello there", "--stop-timeout", "1s",
		"--", "sh", "-c", "echo $GREETING from $(hostname); exec httpd -f -p 8000 -h /etc")
	tasks := n.running("web", 2)

	t.Log("each task has an address that the host reaches")
	for _, task := range tasks {
		c, err := net.DialTimeout("tcp", task.Address+":8000", 10*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", task.Name, err)
		}
		c.Close()
	}

	t.Log("logs carry what every task said")
	n.eventually("the logs are there", func() error {
		logs := n.run("service", "logs", "web")
		for _, want := range []string{"hello there from web-task-1", "hello there from web-task-2"} {
			if !strings.Contains(logs, want) {
				return fmt.Errorf("no %q in %q", want, logs)
			}
		}
		return nil
	})

	t.Log("scale up, down, stop, start")
	n.run("service", "scale", "web", "3")
	n.running("web", 3)
	n.run("service", "scale", "web", "1")
	if left := n.running("web", 1); left[0].ID != tasks[0].ID && left[0].ID != tasks[1].ID {
		t.Errorf("scaling down replaced the tasks that stay")
	}
	n.run("service", "stop", "web")
	n.gone("web")
	if inspect := n.run("service", "inspect", "web"); !strings.Contains(inspect, "stopped") {
		t.Errorf("it does not say that it is stopped:\n%s", inspect)
	}
	n.run("service", "start", "web")
	n.running("web", 1)

	t.Log("lists: filters, quiet, JSON")
	if got := n.run("service", "ls", "-q", "--label", "tier=front"); len(strings.Fields(got)) != 1 {
		t.Errorf("--label found %q", got)
	}
	if got := n.run("service", "ls", "-q", "--label", "tier=back"); got != "" {
		t.Errorf("--label found %q", got)
	}
	var elements []map[string]any
	if err := json.Unmarshal([]byte(n.run("task", "list", "-o", "json")), &elements); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"id", "service", "slot", "node", "state"} {
		if _, ok := elements[0][key]; !ok {
			t.Errorf("an element of task list has no %q: %v", key, elements[0])
		}
	}

	t.Log("delete returns once everything is stopped, and the name is free at once")
	n.run("service", "delete", "web")
	n.gone("web")
	n.run("service", "create", "web", "--image", "busybox", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("web", 1)
	n.run("service", "delete", "web", "--detach")
	n.run("service", "create", "web", "--image", "busybox", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("web", 1)
}

func TestExecPassesTheExitCodeOn(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	n.refused(7, "exec", "app-task-1", "--", "sh", "-c", "exit 7")
	if got := n.feed("through", "exec", "-i", "app-task-1", "--", "cat"); got != "through" {
		t.Errorf("read %q", got)
	}
	n.refused(4, "exec", "nothing-task-1", "--", "true")
}

func TestCrashIsReportedAndMended(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "crash", "--image", "busybox", "--", "sh", "-c", "sleep 0.2; exit 41")
	n.eventually("restarts and the exit code are shown", func() error {
		tasks, err := n.tasks("crash")
		if err != nil || len(tasks) != 1 || tasks[0].Restarts < 2 {
			return fmt.Errorf("%+v %v", tasks, err)
		}
		if inspect := n.run("service", "inspect", "crash"); !strings.Contains(inspect, "41") {
			return fmt.Errorf("no exit code 41 in:\n%s", inspect)
		}
		return nil
	})
}

func TestStopIsGentleThenFirm(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "gentle", "--image", "busybox", "--volume", "data:/data", "--",
		"sh", "-c", "trap 'echo ended > /data/log; exit 0' TERM; while :; do sleep 0.1; done")
	n.run("service", "create", "stubborn", "--image", "busybox", "--stop-timeout", "1s", "--", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
	n.running("gentle", 1)
	n.running("stubborn", 1)
	n.run("service", "delete", "gentle", "stubborn")
	if text, _ := os.ReadFile(filepath.Join(n.lib(), "volumes/data/log")); string(text) != "ended\n" {
		t.Errorf("the container was not asked to end: %q", text)
	}
}

func TestNetworkModes(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "alone", "--image", "busybox", "--network", "none", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.run("service", "create", "open", "--image", "busybox", "--network", "host", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("alone", 1)
	n.running("open", 1)
	if got := n.run("exec", "alone-task-1", "--", "ls", "/sys/class/net"); strings.Contains(got, "eth0") {
		t.Errorf("--network none has %s", got)
	}
	host, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if got := n.run("exec", "open-task-1", "--", "readlink", "/proc/self/ns/net"); strings.TrimSpace(got) != host {
		t.Errorf("--network host is %s, the host has %s", got, host)
	}
	if inspect := n.run("service", "inspect", "open"); !strings.Contains(inspect, "host") {
		t.Errorf("inspect does not show the network:\n%s", inspect)
	}
}

func TestMissingImageSaysSo(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "127.0.0.1:1/nowhere:1")
	n.eventually("the task says what is missing", func() error {
		if inspect := n.run("service", "inspect", "app"); !strings.Contains(inspect, "127.0.0.1:1") || !strings.Contains(inspect, "refused") {
			return fmt.Errorf("%s", inspect)
		}
		return nil
	})
}

func TestContainerToolsReachOurRuntime(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--stop-timeout", "1s", "--", "sleep", "1000")
	id := n.running("app", 1)[0].ID
	if got := n.run("ctr", "--run-dir", n.runDir(), "tasks", "ls"); !strings.Contains(got, id) {
		t.Errorf("warren ctr does not list the task:\n%s", got)
	}
}
