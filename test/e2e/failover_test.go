//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/testkit/writers"
)

// TestTheLeaderIsKilledAgainAndAgain is the short form of bench's TestFailover,
// which has 20 kills and measures: nothing that was acknowledged is lost, and
// nothing is done twice.
func TestTheLeaderIsKilledAgainAndAgain(t *testing.T) {
	var managers []*node
	for i := range 3 {
		n := newNode(t)
		n.name = fmt.Sprint("manager-", i+1)
		args := []string{"cluster", "init", "--manager-only"}
		if i > 0 {
			token := strings.TrimSpace(managers[0].run("cluster", "join-token", "manager"))
			args = []string{"manager", "join", "--token", token, "--manager", managers[0].address}
		}
		n.launch(append(args, "--data-dir", n.lib(), "--run-dir", n.runDir(), "--node-name", n.name,
			"--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0")...)
		managers = append(managers, n)
		managers[0].managersReady(i + 1)
	}
	first := managers[0]
	all := strings.Join([]string{first.address, managers[1].address, managers[2].address}, ",")
	first.extraEnv = []string{"WARREN_MANAGER=" + all}
	var clients []*client.Client
	for range 4 {
		c, err := client.Dial(t.Context(), client.Options{Manager: all, Home: first.home(), Patience: patience})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	w, err := writers.Start(t.Context(), clients)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		name := first.managersReady(3)
		leader := managers[slices.IndexFunc(managers, func(n *node) bool { return n.name == name })]
		killed := time.Now()
		leader.end(syscall.SIGKILL)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		took, err := w.Next(ctx, killed)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s was killed; a write was acknowledged after %v", leader.name, took.Round(time.Millisecond))
		leader.launch("manager", "start", "--data-dir", leader.lib())
		leader.answersStale(first)
	}
	if n := w.Stop(); n < 10 {
		t.Errorf("only %d writes were acknowledged", n)
	}
	if err := w.Check(t.Context(), clients[0]); err != nil {
		t.Error(err)
	}
}

// managersReady waits until that many managers take part, and returns the name
// of the one that leads.
func (n *node) managersReady(count int) (leader string) {
	n.t.Helper()
	n.eventually(fmt.Sprint(count, " managers take part"), func() error {
		var nodes []struct{ Name, Manager string }
		if err := n.json(&nodes, "node", "list"); err != nil {
			return err
		}
		ready := 0
		leader = ""
		for _, m := range nodes {
			switch m.Manager {
			case "leader":
				leader = m.Name
				ready++
			case "ready":
				ready++
			}
		}
		if ready < count || leader == "" {
			return fmt.Errorf("%+v", nodes)
		}
		return nil
	})
	return leader
}

// answersStale waits until the node's own API answers that person, whoever
// leads.
func (n *node) answersStale(person *node) {
	n.t.Helper()
	n.eventually("the manager is back", func() error {
		n.alive()
		if _, stderr, code := person.try("", "node", "list", "--stale", "--manager", n.address); code != 0 {
			return fmt.Errorf("%s", stderr)
		}
		return nil
	})
}
