//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// healthOf returns what inspect says of the first task of a service.
func (n *node) health(service string) (h struct {
	State, Health, Message string
	HealthMessage          string `json:"health_message"`
	ExitReason             string `json:"exit_reason"`
	ExitCode               *int   `json:"exit_code"`
	Restarts               int
}, err error) {
	return h, n.json(&h, "task", "inspect", service+"-task-1")
}

func (n *node) becomes(service, health string) {
	n.t.Helper()
	n.eventually(service+" is "+health, func() error {
		h, err := n.health(service)
		if err == nil && h.Health != health {
			err = fmt.Errorf("%+v", h)
		}
		return err
	})
}

// restartedFor waits until the first task of a service was restarted for a
// reason.
func (n *node) restartedFor(service, reason string) {
	n.t.Helper()
	n.eventually(service+" was restarted: "+reason, func() error {
		h, err := n.health(service)
		if err == nil && (h.Restarts == 0 || h.ExitReason != reason) {
			err = fmt.Errorf("%+v", h)
		}
		return err
	})
}

func TestHealthChecksOfEveryKind(t *testing.T) {
	n := startBusybox(t)
	soon := []string{"--health-interval", "500ms", "--health-timeout", "1s", "--health-retries", "2", "--stop-timeout", "1s"}
	create := func(name string, flags []string, command ...string) {
		t.Helper()
		args := append([]string{"service", "create", name, "--image", "busybox", "--volume", name + ":/data"}, soon...)
		n.run(append(append(append(args, flags...), "--"), command...)...)
	}
	sick := func(name, reason string) {
		t.Helper()
		path := filepath.Join(n.lib(), "volumes", name, "sick")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		n.restartedFor(name, "unhealthy: "+reason)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		n.becomes(name, "healthy")
	}
	create("cmd", []string{"--health-cmd", "test ! -e /data/sick"}, "sleep", "1000")
	create("hangs", []string{"--health-cmd", "[ ! -e /data/sick ] || sleep 4321 | cat"}, "sleep", "1000")
	create("tcp", []string{"--health-tcp", ":7"}, "sh", "-c", "while :; do [ -e /data/sick ] && sleep 1 || nc -l -p 7 -e true; done")
	create("http", []string{"--health-http", ":8080/ready.html"}, "sh", "-c",
		"mkdir /www; while :; do [ -e /data/sick ] && rm -f /www/ready.html || echo ok > /www/ready.html; sleep 0.1; done & exec httpd -f -p 8080 -h /www")
	for _, name := range []string{"cmd", "hangs", "tcp", "http"} {
		n.becomes(name, "healthy")
	}
	sick("cmd", "the health command exited with code 1")
	sick("hangs", "no answer to the health check within 1s")
	sick("tcp", "port 7: connection refused")
	sick("http", "port 8080 answers the health check with 404 Not Found")

	if list := n.run("service", "list"); strings.Count(list, "healthy") != 4 {
		t.Errorf("service list says\n%s", list)
	}
	if events := n.run("events"); strings.Count(events, "unhealthy: unhealthy")+strings.Count(events, "  unhealthy: ") < 4 {
		t.Errorf("events are\n%s", events)
	}
	if ps := n.run("exec", "hangs-task-1", "--", "ps"); strings.Contains(ps, "4321") {
		t.Errorf("a check that hung has left something:\n%s", ps)
	}
}

func TestHealthCommandThatDoesNotExist(t *testing.T) {
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--health-cmd", `["/no/such"]`,
		"--health-interval", "300ms", "--health-retries", "1", "--stop-timeout", "1s", "--restart-policy", "none", "--", "sleep", "1000")
	n.eventually("it is given up", func() error {
		h, err := n.health("app")
		if err == nil && (h.State != "finished" || !strings.Contains(h.ExitReason, "/no/such") || !strings.Contains(h.Message, "by its restart policy none")) {
			err = fmt.Errorf("%+v", h)
		}
		return err
	})
	if inspect := n.run("service", "inspect", "app"); !strings.Contains(inspect, "State: finished") {
		t.Errorf("inspect says\n%s", inspect)
	}
	n.run("service", "delete", "app")
}

// TestHealthIsWatchedWhileTheManagerIsGone kills all of Warren, lets containers
// end, and finds one restart for each, not one more.
func TestNothingIsRestartedNeedlesslyAfterARestart(t *testing.T) {
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--replicas", "3", "--health-cmd", "true", "--health-interval", "300ms",
		"--memory-limit", "32MB", "--", "sleep", "1000")
	before := n.running("app", 3)
	n.becomes("app", "healthy")
	n.end(syscall.SIGKILL)
	n.start()
	n.becomes("app", "healthy")
	after := n.running("app", 3)
	for i := range after {
		if after[i].ID != before[i].ID || after[i].Restarts != 0 {
			t.Errorf("%+v has become %+v", before[i], after[i])
		}
	}
}

func TestLimitsAndTheirBreaking(t *testing.T) {
	n := startBusybox(t)
	n.run("service", "create", "greedy", "--image", "busybox", "--memory-limit", "32MB", "--restart-policy", "none",
		"--volume", "greedy:/data", "--", "sh", "-c", "tail /dev/zero")
	n.eventually("it is named", func() error {
		h, err := n.health("greedy")
		if err == nil && (h.ExitReason != "killed: out of memory (limit 32 MB)" || h.ExitCode == nil || *h.ExitCode != 137) {
			err = fmt.Errorf("%+v", h)
		}
		return err
	})
	// More than the machine has: a limit is warned of, a reservation waits.
	_, warning, code := n.try("", "service", "create", "boast", "--image", "busybox", "--memory-limit", "900TB", "--", "sleep", "1000")
	if code != 0 || !strings.Contains(warning, "the memory limit of 900TB is above what any node has") {
		t.Errorf("exit %d: %s", code, warning)
	}
	n.running("boast", 1)
	n.run("service", "create", "claim", "--image", "busybox", "--cpu-reserve", "900", "--memory-reserve", "1MB", "--", "sleep", "1000")
	n.eventually("it says why it waits", func() error {
		h, err := n.health("claim")
		if err == nil && h.Message != "0 of 1 node fits: 1 without 900 CPUs and 1MB of memory left to reserve" {
			err = fmt.Errorf("%+v", h)
		}
		return err
	})
	n.run("service", "create", "frozen", "--image", "busybox", "--read-only", "--cap-drop", "ALL", "--cap-add", "net_raw",
		"--pids-limit", "20", "--cpu-limit", "0.5", "--volume", "frozen:/data", "--io-limit", "frozen=10MB/s", "--", "sleep", "1000")
	n.running("frozen", 1)
	script := "(touch /x) 2>/dev/null || echo refused; touch /data/y && echo written; grep CapBnd /proc/self/status"
	if out := n.run("exec", "frozen-task-1", "--", "sh", "-c", script); !strings.HasPrefix(out, "refused\nwritten\n") || !strings.Contains(out, "0000000000002000") {
		t.Errorf("inside it says\n%s", out)
	}
	began := time.Now()
	n.run("exec", "frozen-task-1", "--", "dd", "if=/dev/zero", "of=/data/z", "bs=1M", "count=20", "oflag=direct")
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("20 MB at 10 MB/s took %v", took)
	}
}

func TestTop(t *testing.T) {
	n := startBusybox(t)
	n.run("service", "create", "busy", "--image", "busybox", "--cpu-limit", "0.5", "--memory-limit", "64MB", "--volume", "busy:/data", "--",
		"sh", "-c", "head -c 5000000 /dev/zero > /data/five; while :; do :; done")
	n.run("service", "create", "idle", "--image", "busybox", "--", "sleep", "1000")
	n.running("busy", 1)
	n.running("idle", 1)
	type used struct {
		Task         string
		CPU          float64
		Memory       uint64 `json:"memory_bytes"`
		MemoryLimit  uint64 `json:"memory_limit_bytes"`
		Volumes      uint64 `json:"volume_bytes"`
		Processes    int
		CPUs         int    `json:"cpus"`
		MemoryTotal  uint64 `json:"memory_total_bytes"`
		DiskTotal    uint64 `json:"disk_total_bytes"`
		DiskUsed     uint64 `json:"disk_used_bytes"`
		Error        string
		Tasks        []json.RawMessage
		WrittenBytes uint64 `json:"write_bytes_per_second"`
	}
	n.eventually("top tells them apart", func() error {
		var nodes []used
		if err := n.json(&nodes, "top"); err != nil {
			return err
		}
		if len(nodes) != 1 || nodes[0].Error != "" || len(nodes[0].Tasks) != 2 || nodes[0].CPU < 0.2 || nodes[0].MemoryTotal == 0 || nodes[0].DiskUsed == 0 {
			return fmt.Errorf("%+v", nodes)
		}
		for _, raw := range nodes[0].Tasks {
			var u used
			if err := json.Unmarshal(raw, &u); err != nil {
				return err
			}
			busy := u.Task == "busy-task-1"
			if busy && (u.CPU < 0.2 || u.CPU > 0.7 || u.MemoryLimit != 64e6 || u.Volumes == 0 || u.Processes != 1) ||
				!busy && (u.CPU > 0.1 || u.MemoryLimit != 0 || u.Processes != 1 || u.Memory == 0) {
				return fmt.Errorf("%s", raw)
			}
		}
		return nil
	})
	table := n.run("top")
	if lines := strings.Split(table, "\n"); len(lines) != 7 || !strings.HasPrefix(lines[0], "NODE ") || !strings.HasPrefix(lines[4], "busy-task-1 ") {
		t.Errorf("top says\n%s", table)
	}
}
