//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
)

// trio is a cluster of three managers, each a process of its own, that runs no
// containers.
type trio struct {
	dir, binary string
	managers    [3]*process
	addresses   [3]string
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{dir: shortDir(t), binary: built(t, "bin/warren", "build")}
	if err := os.Mkdir(c.home(), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range c.managers {
		c.addresses[i] = freeAddress(t)
		args := []string{"cluster", "init", "--manager-only"}
		if i > 0 {
			token, err := c.command("cluster", "join-token", "manager").Output()
			if err != nil {
				t.Fatal(err)
			}
			args = []string{"manager", "join", "--token", strings.TrimSpace(string(token)), "--manager", c.addresses[0]}
		}
		c.launch(t, i, append(args, "--run-dir", filepath.Join(c.dir, fmt.Sprint("run", i)), "--node-name", fmt.Sprint("m", i),
			"--listen-addr", c.addresses[i], "--metrics-addr", "127.0.0.1:0")...)
		c.await(t, i+1)
	}
	return c
}

func (c *trio) home() string { return filepath.Join(c.dir, "home") }

// all are the managers' addresses, as one writes them.
func (c *trio) all() string { return strings.Join(c.addresses[:], ",") }

func (c *trio) env() []string {
	return []string{"HOME=" + c.home(), "SUDO_USER=", "WARREN_MANAGER=" + c.addresses[0]}
}

func (c *trio) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.binary, args...)
	cmd.Env = append(os.Environ(), c.env()...)
	return cmd
}

func (c *trio) launch(t *testing.T, i int, args ...string) {
	t.Helper()
	args = append(args, "--data-dir", filepath.Join(c.dir, fmt.Sprint("lib", i)))
	c.managers[i] = start(t, filepath.Join(c.dir, fmt.Sprint("log", i)), c.env(), c.binary, args...)
}

// await waits until that many managers take part, and one leads, which it
// returns.
func (c *trio) await(t *testing.T, count int) (leader int) {
	t.Helper()
	at := strings.Join(c.addresses[:count], ",")
	c.managers[0].until(t, fmt.Sprint(count, " managers agree"), func() error {
		m, err := client.Dial(t.Context(), client.Options{Manager: at, Home: c.home()})
		if err != nil {
			return err
		}
		defer m.Close()
		list, err := m.Nodes.ListNodes(t.Context(), &warrenv1.Filter{})
		agree := 0
		leader = -1
		for _, n := range list.GetNodes() {
			if n.GetManager().GetState() == warrenv1.ManagerState_MANAGER_STATE_READY || n.GetLeader() {
				agree++
			}
			if n.GetLeader() {
				leader = slices.Index(c.addresses[:], n.GetAddress())
			}
		}
		if err == nil && (agree < count || leader < 0) {
			err = fmt.Errorf("only %d of %d take part, %d leads", agree, count, leader)
		}
		return err
	})
	return leader
}

// dial opens connections of their own, to whichever manager answers.
func (c *trio) dial(t *testing.T, count int) (clients []*client.Client) {
	t.Helper()
	for range count {
		m, err := client.Dial(t.Context(), client.Options{Manager: c.all(), Home: c.home(), Patience: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		clients = append(clients, m)
	}
	return clients
}
