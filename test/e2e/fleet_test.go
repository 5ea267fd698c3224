//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// fleet is a network of machines: each node is a process in a network
// namespace of its own, on one bridge, which the test can reach too.
type fleet struct {
	t      *testing.T
	bridge string
	subnet string // the first three numbers
	nodes  []*node
}

var fleets atomic.Int32

func newFleet(t *testing.T) *fleet {
	t.Helper()
	number := int(fleets.Add(1)) + os.Getpid()%200
	f := &fleet{t: t, bridge: fmt.Sprintf("wf%d", number), subnet: fmt.Sprintf("10.222.%d", number%250)}
	ip(t, "link", "add", f.bridge, "type", "bridge")
	t.Cleanup(func() { exec.Command("ip", "link", "del", f.bridge).Run() })
	ip(t, "addr", "add", f.subnet+".254/24", "dev", f.bridge)
	ip(t, "link", "set", f.bridge, "up")
	return f
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s; install it with: apt-get install iproute2", strings.Join(args, " "), err, out)
	}
}

// node prepares a machine of the fleet without starting it.
func (f *fleet) node(name string) *node {
	f.t.Helper()
	n := newNode(f.t)
	number := len(f.nodes) + 1
	n.netns = fmt.Sprintf("%s-%d", f.bridge, number)
	n.name = name
	n.wrap = []string{"nsenter", "--net=/run/netns/" + n.netns, "--"}
	inside, outside := fmt.Sprintf("%si%d", f.bridge, number), fmt.Sprintf("%so%d", f.bridge, number)
	ip(f.t, "netns", "add", n.netns)
	f.nodes = append(f.nodes, n)
	ip(f.t, "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", n.netns)
	ip(f.t, "link", "set", outside, "master", f.bridge, "up")
	host := fmt.Sprintf("%s.%d", f.subnet, number)
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", host + "/24", "dev", inside}, {"link", "set", inside, "up"}} {
		ip(f.t, append([]string{"-n", n.netns}, args...)...)
	}
	n.link = outside
	n.address = host + ":8080"
	return n
}

// manager starts a new cluster on a machine that runs no containers.
func (f *fleet) manager(name string, flags ...string) *node {
	f.t.Helper()
	n := f.node(name)
	n.launch(append([]string{"cluster", "init", "--data-dir", n.lib(), "--run-dir", n.runDir(),
		"--node-name", name, "--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0"}, flags...)...)
	n.apiAnswers()
	return n
}

// apiAnswers waits until the node's API does.
func (n *node) apiAnswers() {
	n.t.Helper()
	n.eventually("the manager answers", func() error {
		n.alive()
		if _, stderr, code := n.try("", "node", "list"); code != 0 {
			return errors.New(stderr)
		}
		return nil
	})
}

func (n *node) alive() {
	n.t.Helper()
	select {
	case <-n.exited:
		n.t.Fatalf("the node ended: %s", n.tail())
	default:
	}
}

// worker starts a machine that joins the manager's cluster, and waits until it
// is ready.
func (f *fleet) worker(m *node, name string) *node {
	f.t.Helper()
	n := f.node(name)
	f.t.Cleanup(m.removeServices) // while the worker can still stop them
	n.joinAsWorker(m, strings.TrimSpace(m.run("cluster", "join-token", "worker", "--single-use")))
	m.state(name, "ready")
	return n
}

func (n *node) joinAsWorker(m *node, token string) {
	n.t.Helper()
	n.launch("worker", "start", "--data-dir", n.lib(), "--run-dir", n.runDir(), "--node-name", n.name,
		"--metrics-addr", "127.0.0.1:0", "--token", token, "--manager", m.address)
}

func (n *node) startWorker() {
	n.t.Helper()
	n.launch("worker", "start", "--data-dir", n.lib())
}

// state waits until the cluster says that of a node.
func (m *node) state(name, state string) {
	m.t.Helper()
	m.eventually("node "+name+" is "+state, func() error {
		var nodes []struct{ Name, State string }
		if err := m.json(&nodes, "node", "list"); err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Name == name && n.State == state {
				return nil
			}
		}
		return fmt.Errorf("%+v", nodes)
	})
}

// nodes counts the service's tasks by the node they are on.
func nodesOf(tasks []task) map[string]int {
	on := map[string]int{}
	for _, t := range tasks {
		on[t.Node]++
	}
	return on
}

// cut takes the node's machine off the network; mend puts it back.
func (n *node) cut()  { ip(n.t, "link", "set", n.link, "down") }
func (n *node) mend() { ip(n.t, "link", "set", n.link, "up") }

// removeNetns ends what a node had of the network.
func (n *node) removeNetns() {
	if n.netns == "" {
		return
	}
	if out, err := exec.Command("ip", "netns", "del", n.netns).CombinedOutput(); err != nil && !errors.Is(err, syscall.ENOENT) {
		n.t.Logf("ip netns del %s: %v: %s", n.netns, err, out)
	}
}

// listenPlain answers like a web server: it is no manager.
func listenPlain(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}
