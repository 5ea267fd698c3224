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

// managing waits until the cluster says that of a node as a manager; one that
// leads is ready.
func (m *node) managing(name, state string) {
	m.t.Helper()
	m.eventually(fmt.Sprintf("the manager of %s is %q", name, state), func() error {
		var nodes []struct{ Name, Manager string }
		if err := m.json(&nodes, "node", "list"); err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Name == name && (n.Manager == state || n.Manager == "leader" && state == "ready") {
				return nil
			}
		}
		return fmt.Errorf("%+v", nodes)
	})
}

// TestWorkersBecomeManagersAndBack: promoted, they take over when the first
// manager dies; demoted, they work on; and at last nodes leave by themselves.
// No container notices.
func TestWorkersBecomeManagersAndBack(t *testing.T) {
	f := newFleet(t)
	m := f.manager("manager-1", "--manager-only")
	w1, w2 := f.worker(m, "worker-1"), f.worker(m, "worker-2")
	m.run("image", "load", artifact(t, "busybox.tar"))
	m.run("service", "create", "agent", "--image", "busybox", "--mode", "global", "--stop-timeout", "1s", "--", "sleep", "1000")
	before := m.running("agent", 2)

	if said := m.refused(1, "node", "demote", "manager-1"); !strings.Contains(said, "runs no containers") {
		t.Errorf("demoting a manager that is no worker: %s", said)
	}
	m.run("node", "promote", "worker-1", "worker-2")
	m.managing("worker-1", "ready")
	m.managing("worker-2", "ready")

	t.Log("the first manager dies, and the others go on")
	m.end(syscall.SIGKILL)
	first := m.address
	m.address = w1.address + "," + w2.address
	m.managing("manager-1", "down")
	for _, c := range []string{"demote", "remove"} {
		if said := m.refused(1, "node", c, "worker-2"); !strings.Contains(said, "manager-1 would be needed") && !strings.Contains(said, "up and runs") {
			t.Errorf("%s below quorum: %s", c, said)
		}
	}
	m.launch("manager", "start", "--data-dir", m.lib())
	m.managing("manager-1", "ready")
	m.address = first

	t.Log("back to a worker, through a restart")
	m.run("node", "demote", "worker-2")
	m.managing("worker-2", "")
	m.eventually("its keys are gone", func() error {
		_, err := os.Stat(filepath.Join(w2.lib(), "keys/unlock.key"))
		if err == nil {
			return fmt.Errorf("still there")
		}
		return nil
	})
	m.state("worker-2", "ready")
	for _, n := range []*node{w1, w2} {
		n.end(syscall.SIGTERM)
		n.startWorker()
	}
	m.managing("worker-1", "ready")
	m.state("worker-2", "ready")
	after := m.running("agent", 2)
	for i := range after {
		if after[i].ID != before[i].ID || after[i].Restarts != 0 {
			t.Errorf("%s was %s, and is %s after %d restarts", after[i].Name, before[i].ID, after[i].ID, after[i].Restarts)
		}
	}

	t.Log("nodes leave")
	m.run("volume", "create", "data", "--node", "worker-2")
	if said := w2.refused(1, "leave", "--data-dir", w2.lib()); !strings.Contains(said, "data of volume data") {
		t.Errorf("leaving with a volume: %s", said)
	}
	if said := w2.run("leave", "--force", "--data-dir", w2.lib()); !strings.Contains(said, "worker-2 has left") || !strings.Contains(said, "Volume data given up") {
		t.Errorf("it said: %s", said)
	}
	<-w2.exited
	w2.process = nil
	if _, err := os.Stat(filepath.Join(w2.lib(), "volumes/data")); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(w2.lib(), "identity/*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	m.running("agent", 1)
	m.run("leave", "--data-dir", m.lib())
	<-m.exited
	m.process, m.address = nil, w1.address
	m.managing("worker-1", "leader")
	if said := w1.refused(1, "leave", "--data-dir", w1.lib()); !strings.Contains(said, "only manager") {
		t.Errorf("the last manager: %s", said)
	}
}
