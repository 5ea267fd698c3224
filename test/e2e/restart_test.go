//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestExitWhileWarrenWasDownIsReported(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	// Each container of the service ends with 43 once the file is there.
	n.run("service", "create", "app", "--image", "busybox", "--volume", "data:/data", "--stop-timeout", "1s", "--",
		"sh", "-c", "while [ ! -e /data/end ]; do sleep 0.1; done; rm /data/end; exit 43")
	before := n.running("app", 1)[0]
	n.end(syscall.SIGKILL)
	end := filepath.Join(n.lib(), "volumes/data/end")
	if err := os.WriteFile(end, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	n.eventually("the container has ended", func() error {
		if _, err := os.Stat(end); err == nil {
			return fmt.Errorf("%s is still there", end)
		}
		return nil
	})
	n.start()
	n.eventually("the exit is known", func() error {
		if inspect := n.run("service", "inspect", "app"); !strings.Contains(inspect, "43") {
			return fmt.Errorf("no exit code 43 in:\n%s", inspect)
		}
		return nil
	})
	if after := n.running("app", 1)[0]; after.ID != before.ID {
		t.Errorf("task %s was replaced by %s", before.ID, after.ID)
	}
}

// TestReboot kills everything, as a power cut does, and starts with another
// boot ID.
func TestReboot(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.feed("value", "secret", "create", "one", "--from-stdin")
	n.run("service", "create", "app", "--image", "busybox", "--secret", "one", "--volume", "data:/data", "--stop-timeout", "1s", "--",
		"sh", "-c", "echo started >> /data/log; exec sleep 1000")
	n.running("app", 1)
	// A task runs from the moment its process does, which has not spoken yet.
	started := func(times int) func() error {
		return func() error {
			text, err := os.ReadFile(filepath.Join(n.lib(), "volumes/data/log"))
			if err != nil || strings.Count(string(text), "started") != times {
				return fmt.Errorf("%q %v", text, err)
			}
			return nil
		}
	}
	n.eventually("the task has started", started(1))
	n.end(syscall.SIGKILL)
	n.powerCut()
	n.start("--boot-id", "00000000-0000-0000-0000-000000000001")
	n.eventually("the task has started anew", started(2))
	n.running("app", 1)
	if got := n.run("exec", "app-task-1", "--", "cat", "/run/secrets/one"); got != "value" {
		t.Errorf("the secret reads %q", got)
	}
}

// powerCut ends every process of the node and unmounts what a reboot would.
func (n *node) powerCut() {
	n.t.Helper()
	n.killContainers()
	n.eventually("nothing is mounted any more", func() error {
		for _, m := range mountsBelow(n.dir) {
			syscall.Unmount(m, syscall.MNT_DETACH)
		}
		if left := mountsBelow(n.dir); len(left) > 0 {
			return fmt.Errorf("%v", left)
		}
		return nil
	})
	if err := os.RemoveAll(n.runDir()); err != nil {
		n.t.Fatal(err)
	}
}

func TestTwoNodesOnOneMachine(t *testing.T) {
	t.Parallel()
	a, b := startBusybox(t), startBusybox(t)
	for _, n := range []*node{a, b} {
		n.run("service", "create", "app", "--image", "busybox", "--volume", "data:/data", "--stop-timeout", "1s", "--", "sleep", "1000")
	}
	a.running("app", 1)
	b.running("app", 1)
	a.run("service", "delete", "app")
	b.running("app", 1)
	// Neither person's certificate opens the other's cluster.
	if said := a.refused(6, "volume", "list", "--manager", b.address); !strings.Contains(said, "certificate") {
		t.Errorf("the refusal does not tell of certificates: %s", said)
	}
}

func TestInitAndStartRefuse(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	said := n.refused(1, "cluster", "init", "--data-dir", n.lib(), "--run-dir", n.runDir(), "--listen-addr", freeAddress(t))
	if !strings.Contains(said, "warren manager start") && !strings.Contains(said, "running") {
		t.Errorf("the refusal does not say what to type: %s", said)
	}
	other := newNode(t)
	said = other.refused(1, "cluster", "init", "--data-dir", other.lib(), "--run-dir", other.runDir(), "--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0")
	if !strings.Contains(said, n.address) {
		t.Errorf("the refusal does not name the taken address: %s", said)
	}
	if _, err := os.Stat(filepath.Join(other.lib(), "node.json")); err == nil {
		t.Error("a refused init left an initialised node behind")
	}
	if said := other.refused(1, "manager", "start", "--data-dir", other.lib()); !strings.Contains(said, "cluster init") {
		t.Errorf("the refusal does not say what to type: %s", said)
	}
	n.end(syscall.SIGTERM)
	if said := n.refused(5, "cluster", "init", "--data-dir", n.lib(), "--run-dir", n.runDir(), "--listen-addr", n.address); !strings.Contains(said, "warren manager start") {
		t.Errorf("the refusal does not name manager start: %s", said)
	}
	n.start()
}
