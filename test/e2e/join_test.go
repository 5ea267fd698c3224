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

// TestWorkersJoin is a manager and two workers: services are spread, a volume
// stays where its data is, and all of them come back without a token.
func TestWorkersJoin(t *testing.T) {
	f := newFleet(t)
	m := f.manager("manager-1", "--manager-only")
	w1, w2 := f.worker(m, "worker-1"), f.worker(m, "worker-2")
	m.run("image", "load", artifact(t, "busybox.tar"))

	m.run("service", "create", "web", "--image", "busybox", "--replicas", "4", "--stop-timeout", "1s", "--", "sleep", "1000")
	if on := nodesOf(m.running("web", 4)); on["worker-1"] != 2 || on["worker-2"] != 2 {
		t.Errorf("not spread: %v", on)
	}
	m.feed("value", "secret", "create", "pw", "--from-stdin")
	m.run("volume", "create", "db-data", "--node", "worker-2")
	m.run("service", "create", "db", "--image", "busybox", "--volume", "db-data:/data", "--secret", "pw", "--stop-timeout", "1s",
		"--", "sh", "-c", "echo started >> /data/log; exec sleep 1000")
	if on := nodesOf(m.running("db", 1)); on["worker-2"] != 1 {
		t.Errorf("the task with the volume runs on %v", on)
	}
	if got := m.run("exec", "db-task-1", "--", "cat", "/run/secrets/pw"); got != "value" {
		t.Errorf("the secret reads %q", got)
	}
	if _, err := os.Stat(filepath.Join(w2.lib(), "volumes/db-data/log")); err != nil {
		t.Error(err)
	}

	t.Log("everything comes back without a token")
	for _, n := range []*node{w1, w2} {
		n.end(syscall.SIGTERM)
		n.startWorker()
	}
	m.end(syscall.SIGTERM)
	m.launch("manager", "start", "--data-dir", m.lib())
	m.apiAnswers()
	m.state("worker-1", "ready")
	m.state("worker-2", "ready")
	m.running("db", 1)

	t.Log("a removed worker stops, and keeps the data")
	if said := m.refused(1, "node", "remove", "worker-2"); !strings.Contains(said, "db-data") {
		t.Errorf("the refusal does not name the volume: %s", said)
	}
	m.run("node", "remove", "worker-2", "--force")
	<-w2.exited
	w2.process = nil
	if _, err := os.Stat(filepath.Join(w2.lib(), "volumes/db-data/log")); err != nil {
		t.Error(err)
	}
	m.eventually("the web tasks are on the node that is left", func() error {
		tasks, err := m.tasks("web")
		if on := nodesOf(tasks); err != nil || on["worker-1"] != 4 {
			return fmt.Errorf("%v %v", on, err)
		}
		return nil
	})
}

func TestJoinRefuses(t *testing.T) {
	f := newFleet(t)
	m := f.manager("manager-1", "--manager-only")
	other := startNode(t)
	n := f.node("worker-1")
	token := strings.TrimSpace(m.run("cluster", "join-token", "worker", "--single-use"))
	start := func(n *node, token, manager string) []string {
		return []string{"worker", "start", "--data-dir", n.lib(), "--run-dir", n.runDir(), "--node-name", n.name,
			"--metrics-addr", "127.0.0.1:0", "--token", token, "--manager", manager}
	}
	plain := listenPlain(t)
	for what, c := range map[string]struct {
		token, manager, says string
		code                 int
	}{
		"truncated":       {token[:len(token)-4], m.address, "not whole", 2},
		"wrong secret":    {token[:len(token)-4] + "AAAA", m.address, "not valid", 6},
		"other cluster":   {strings.TrimSpace(other.run("cluster", "join-token", "worker")), m.address, "another cluster", 6},
		"manager's":       {strings.TrimSpace(m.run("cluster", "join-token", "manager")), m.address, "is for a manager", 1},
		"no Warren":       {token, plain, "it does not speak TLS", 3},
		"nobody listens":  {token, freeAddress(t), "connection refused", 3},
		"not one address": {token, "nowhere", "not a manager's address", 2},
		"no address":      {token, "", "--manager", 2},
	} {
		if said := n.refused(c.code, start(n, c.token, c.manager)...); !strings.Contains(said, c.says) {
			t.Errorf("%s: %s", what, said)
		}
	}
	if said := n.refused(1, "worker", "start", "--data-dir", n.lib()); !strings.Contains(said, "join-token worker") {
		t.Errorf("the refusal does not say what to type: %s", said)
	}
	n.joinAsWorker(m, token)
	m.state("worker-1", "ready")
	late := f.node("worker-2")
	if said := late.refused(6, start(late, token, m.address)...); !strings.Contains(said, "used already") {
		t.Errorf("a used token: %s", said)
	}
	late.name = "worker-1"
	if said := late.refused(5, start(late, strings.TrimSpace(m.run("cluster", "join-token", "worker")), m.address)...); !strings.Contains(said, "--node-name") {
		t.Errorf("a taken name: %s", said)
	}
}

// TestPeopleHaveCertificatesOfTheirOwn: a token for a person, the role it
// gives, and its end.
func TestPeopleHaveCertificatesOfTheirOwn(t *testing.T) {
	n := startNode(t)
	token := strings.TrimSpace(n.run("cluster", "client-token", "reader", "bob"))
	bob := newNode(t)
	bob.address = n.address
	if got := bob.run("init", "--token", token); !strings.Contains(got, "bob, reader") {
		t.Errorf("init said %q", got)
	}
	bob.run("volume", "list")
	if said := bob.refused(6, "volume", "create", "a"); !strings.Contains(said, "may not call") {
		t.Errorf("a reader: %s", said)
	}
	n.run("cluster", "client-revoke", "bob")
	if said := bob.refused(6, "volume", "list"); !strings.Contains(said, "no member") {
		t.Errorf("revoked: %s", said)
	}
}

// TestDrainedAndLostNodes: tasks without volumes go elsewhere, those whose data
// is on the node wait for it and say so.
func TestDrainedAndLostNodes(t *testing.T) {
	f := newFleet(t)
	m := f.manager("manager-1", "--manager-only")
	f.worker(m, "worker-1")
	w2 := f.worker(m, "worker-2")
	m.run("image", "load", artifact(t, "busybox.tar"))
	m.run("node", "label", "worker-2", "zone=b")
	m.run("service", "create", "web", "--image", "busybox", "--replicas", "2", "--stop-timeout", "1s", "--", "sleep", "1000")
	m.run("volume", "create", "data", "--node", "worker-2")
	m.run("service", "create", "db", "--image", "busybox", "--volume", "data:/data", "--constraint", "node.labels.zone==b", "--stop-timeout", "1s", "--", "sleep", "1000")
	if on := nodesOf(m.running("db", 1)); on["worker-2"] != 1 {
		t.Errorf("the constraint was not kept: %v", on)
	}
	m.run("service", "create", "nowhere", "--image", "busybox", "--constraint", "node.labels.zone==c", "--", "sleep", "1000")
	m.waits("nowhere", "0 of 2 nodes fit: 2 not satisfying node.labels.zone==c")
	m.run("service", "delete", "nowhere")

	t.Log("drain")
	if said := m.run("node", "drain", "worker-2"); !strings.Contains(said, "db-task-1") {
		t.Errorf("drain does not tell who waits: %s", said)
	}
	m.onlyOn("web", "worker-1", 2)
	m.waits("db", "1 drained")
	m.run("node", "activate", "worker-2")
	m.running("db", 1)

	t.Log("lose the node, with one task of web on it")
	m.run("service", "scale", "web", "3")
	m.running("web", 3)
	w2.cut()
	m.state("worker-2", "down")
	m.onlyOn("web", "worker-1", 3)
	m.waits("db", "worker-2 is down")
	if said := m.refused(1, "volume", "delete", "data"); !strings.Contains(said, "in use") {
		t.Errorf("a volume in use: %s", said)
	}
	w2.mend()
	m.state("worker-2", "ready")
	m.running("db", 1)
	m.onlyOn("web", "worker-1", 3)
}

// waits waits until inspect says why the service's task waits.
func (n *node) waits(service, why string) {
	n.t.Helper()
	n.eventually(service+" says why it waits", func() error {
		if said := n.run("service", "inspect", service); !strings.Contains(said, why) {
			return fmt.Errorf("no %q in:\n%s", why, said)
		}
		return nil
	})
}

// onlyOn waits until that many tasks of the service run on one node, and none
// elsewhere.
func (n *node) onlyOn(service, where string, count int) {
	n.t.Helper()
	n.eventually(fmt.Sprintf("%d tasks of %s run on %s", count, service, where), func() error {
		tasks, err := n.tasks(service)
		if err != nil {
			return err
		}
		there := 0
		for _, task := range tasks {
			if task.Node == where && task.State == "running" {
				there++
			}
		}
		if there != count {
			return fmt.Errorf("%+v", tasks)
		}
		return nil
	})
}

// TestManagersJoin: two more managers get a vote, any of them answers, and the
// cluster goes on without the first.
func TestManagersJoin(t *testing.T) {
	f := newFleet(t)
	m := f.manager("manager-1", "--manager-only")
	token := strings.TrimSpace(m.run("cluster", "join-token", "manager"))
	var others []*node
	for _, name := range []string{"manager-2", "manager-3"} {
		n := f.node(name)
		n.launch("manager", "join", "--data-dir", n.lib(), "--run-dir", n.runDir(), "--node-name", name,
			"--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0", "--token", token, "--manager", m.address)
		others = append(others, n)
	}
	m.feed("value", "secret", "create", "pw", "--from-stdin")
	for _, n := range others {
		n.eventually("the manager that joined answers", func() error {
			n.alive()
			if _, stderr, code := m.try("", "secret", "inspect", "pw", "--manager", n.address); code != 0 {
				return fmt.Errorf("%s", stderr)
			}
			return nil
		})
	}
	m.eventually("both have a vote", func() error {
		text, err := os.ReadFile(m.logPath())
		if votes := strings.Count(string(text), "takes part from now on"); err != nil || votes < 2 {
			return fmt.Errorf("%d of them, %v", votes, err)
		}
		return nil
	})
	m.end(syscall.SIGKILL)
	m.eventually("the other two go on", func() error {
		if _, stderr, code := m.try("v", "secret", "create", "later", "--from-stdin", "--manager", others[0].address); code != 0 {
			return fmt.Errorf("%s", stderr)
		}
		return nil
	})
	m.launch("manager", "start", "--data-dir", m.lib())
	m.apiAnswers()
	others[1].end(syscall.SIGTERM)
	others[1].launch("manager", "start", "--data-dir", others[1].lib())
	m.eventually("it is back", func() error {
		if _, stderr, code := m.try("", "node", "list", "--manager", others[1].address); code != 0 {
			return fmt.Errorf("%s", stderr)
		}
		return nil
	})
}
