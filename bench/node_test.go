//go:build bench

package bench

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
)

// node is the built binary as manager and worker, spoken to over TCP as anybody
// would.
type node struct {
	*process
	binary, dir, address string
	client               *client.Client
	cluster              *warrenv1.Cluster
}

func startNode(t *testing.T) *node {
	t.Helper()
	n := &node{binary: built(t, "bin/warren", "build"), dir: shortDir(t), address: freeAddress(t)}
	if err := os.Mkdir(n.home(), 0o700); err != nil {
		t.Fatal(err)
	}
	n.process = start(t, filepath.Join(n.dir, "log"), n.env(), n.binary, "cluster", "init",
		"--data-dir", filepath.Join(n.dir, "lib"), "--run-dir", n.runDir(),
		"--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0")
	n.until(t, "it is ready", func() error { return n.try("volume", "create", "ready", "-q") })
	n.client = n.dial(t)
	var err error
	if n.cluster, err = n.client.Clusters.GetCluster(t.Context(), &warrenv1.GetClusterRequest{}); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) home() string   { return filepath.Join(n.dir, "home") }
func (n *node) runDir() string { return filepath.Join(n.dir, "run") }
func (n *node) socket() string { return "unix://" + filepath.Join(n.runDir(), "warren.sock") }

func (n *node) env() []string {
	return []string{"HOME=" + n.home(), "SUDO_USER=", "WARREN_MANAGER=" + n.address}
}

// dial opens a connection of its own, as from another machine.
func (n *node) dial(t *testing.T) *client.Client { return n.dialAt(t, n.address) }

func (n *node) dialAt(t *testing.T, address string) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{Manager: address, Home: n.home()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// try runs the binary as a person does.
func (n *node) try(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.binary, args...)
	cmd.Env = append(os.Environ(), n.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return &commandError{args, out, err}
	}
	return nil
}

func (n *node) run(t *testing.T, args ...string) {
	t.Helper()
	if err := n.try(args...); err != nil {
		t.Fatal(err)
	}
}

type commandError struct {
	args   []string
	output []byte
	err    error
}

func (e *commandError) Error() string {
	return "warren " + e.args[0] + " " + e.args[1] + ": " + e.err.Error() + ": " + string(bytes.TrimSpace(e.output))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// freePort is the port of an address that nobody has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
