//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// patience bounds every wait of these tests; it is long because the machine
// may be busy, and is only ever used up by a failure.
const patience = 90 * time.Second

// node is one Warren process on directories of its own, and its person's home.
type node struct {
	t       *testing.T
	dir     string
	address string
	program string
	process *exec.Cmd
	exited  chan struct{}
	log     *os.File
	// flags are added to cluster init and manager start.
	flags []string
	// wrap is a command that runs the node's program.
	wrap []string
	// extraEnv is added to the node's environment, and to its person's.
	extraEnv []string
	// name, network namespace and link of a machine of a fleet.
	name, netns, link string
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/warren")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; build it with: make build", err)
	}
	return path
}

func artifact(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.cache/images", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; make it with: make images", err)
	}
	return path
}

// newNode prepares a node in a fresh directory without starting it.
func newNode(t *testing.T, flags ...string) *node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("these tests start containers, so they need root: sudo make test")
	}
	// Sockets have short names, so the directory must too.
	dir, err := os.MkdirTemp("/tmp", "we2e-")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: dir, address: freeAddress(t), program: binary(t), flags: flags}
	if err := os.MkdirAll(n.home(), 0o700); err != nil {
		t.Fatal(err)
	}
	n.log, err = os.Create(filepath.Join(dir, "node.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.cleanUp)
	return n
}

// startNode initialises a cluster of one and waits until it is ready.
func startNode(t *testing.T, flags ...string) *node {
	t.Helper()
	n := newNode(t, flags...)
	n.init()
	return n
}

func (n *node) home() string    { return filepath.Join(n.dir, "home") }
func (n *node) lib() string     { return filepath.Join(n.dir, "lib") }
func (n *node) runDir() string  { return filepath.Join(n.dir, "run") }
func (n *node) logPath() string { return filepath.Join(n.dir, "node.log") }

func (n *node) init(flags ...string) {
	n.t.Helper()
	n.launch(append(n.initArgs(), flags...)...)
	n.waitReady()
}

// initArgs make a cluster in the node's own directories.
func (n *node) initArgs() []string {
	return []string{"cluster", "init", "--data-dir", n.lib(), "--run-dir", n.runDir(),
		"--listen-addr", n.address, "--metrics-addr", "127.0.0.1:0"}
}

func (n *node) start(flags ...string) {
	n.t.Helper()
	n.launch(append([]string{"manager", "start", "--data-dir", n.lib()}, flags...)...)
	n.waitReady()
}

func (n *node) launch(args ...string) {
	n.t.Helper()
	n.launchOn(n.log, args...)
}

// launchOn starts the node's process, whose words go to out.
func (n *node) launchOn(out *os.File, args ...string) {
	n.t.Helper()
	words := slices.Concat(n.wrap, []string{n.program}, args, n.flags)
	n.process = exec.Command(words[0], words[1:]...)
	n.process.Env = n.env()
	n.process.Stdout, n.process.Stderr = out, out
	n.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.process.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.exited = make(chan struct{})
	go func(p *exec.Cmd, done chan struct{}) { p.Wait(); close(done) }(n.process, n.exited)
}

func (n *node) env() []string {
	return append(append(os.Environ(), "HOME="+n.home(), "SUDO_USER=", "WARREN_MANAGER="+n.address), n.extraEnv...)
}

func (n *node) waitReady() {
	n.t.Helper()
	n.eventually("the node is ready", func() error {
		select {
		case <-n.exited:
			n.t.Fatalf("the node ended: %s", n.tail())
		default:
		}
		_, stderr, code := n.try("", "node", "list")
		if code != 0 {
			return errors.New(stderr)
		}
		var nodes []struct{ State string }
		if err := n.json(&nodes, "node", "list"); err != nil {
			return err
		}
		if len(nodes) != 1 || nodes[0].State != "ready" {
			return fmt.Errorf("nodes: %+v", nodes)
		}
		return nil
	})
}

// end sends a signal to the node's process, and waits until it is gone.
func (n *node) end(s syscall.Signal) {
	n.t.Helper()
	n.process.Process.Signal(s)
	select {
	case <-n.exited:
	case <-time.After(patience):
		n.t.Fatalf("still running long after %v: %s", s, n.tail())
	}
	n.process = nil
}

// try runs a command with stdin and returns what it said and its exit code.
func (n *node) try(stdin string, args ...string) (stdout, stderr string, code int) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(n.t), args...)
	cmd.Env = n.env()
	cmd.Stdin = strings.NewReader(stdin)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	failure := cmd.Run()
	var exit *exec.ExitError
	if failure != nil && !errors.As(failure, &exit) {
		n.t.Fatalf("warren %s: %v", strings.Join(args, " "), failure)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// run runs a command that must succeed and returns its standard output.
func (n *node) run(args ...string) string {
	n.t.Helper()
	return n.feed("", args...)
}

// feed is run with standard input.
func (n *node) feed(stdin string, args ...string) string {
	n.t.Helper()
	stdout, stderr, code := n.try(stdin, args...)
	if code != 0 {
		n.t.Fatalf("warren %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// refused runs a command that must fail with that code and returns its words.
func (n *node) refused(code int, args ...string) string {
	n.t.Helper()
	stdout, stderr, got := n.try("", args...)
	if got != code {
		n.t.Fatalf("warren %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stderr
}

func (n *node) json(into any, args ...string) error {
	stdout, stderr, code := n.try("", append(args, "-o", "json")...)
	if code != 0 {
		return fmt.Errorf("warren %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return json.Unmarshal([]byte(stdout), into)
}

// task is what task list tells of a task in JSON.
type task struct {
	ID, Name, Service, Node, State, Message, Address string
	Slot                                             uint32
	Restarts                                         uint32
}

// tasks lists the service's tasks that are not stopped.
func (n *node) tasks(service string) ([]task, error) {
	var all, mine []task
	if err := n.json(&all, "task", "list"); err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Service == service && t.State != "stopped" {
			mine = append(mine, t)
		}
	}
	return mine, nil
}

// running waits until that many tasks of the service run.
func (n *node) running(service string, count int) []task {
	n.t.Helper()
	var tasks []task
	n.eventually(fmt.Sprintf("%d tasks of %s run", count, service), func() (err error) {
		if tasks, err = n.tasks(service); err != nil {
			return err
		}
		if len(tasks) != count {
			return fmt.Errorf("%d tasks: %+v", len(tasks), tasks)
		}
		for _, t := range tasks {
			if t.State != "running" {
				return fmt.Errorf("%+v", t)
			}
		}
		return nil
	})
	return tasks
}

// eventually asks again and again until check is content. What is waited for
// happens in other processes, so there is no event to wait on.
func (n *node) eventually(what string, check func() error) {
	n.t.Helper()
	var err error
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if err = check(); err == nil {
			return
		}
	}
	n.t.Fatalf("waited in vain until %s: %v\n%s", what, err, n.tail())
}

func (n *node) tail() string {
	text, _ := os.ReadFile(n.logPath())
	if len(text) > 6000 {
		text = text[len(text)-6000:]
	}
	return "\n--- node.log\n" + string(text)
}

func (n *node) cleanUp() {
	if n.process != nil {
		n.removeServices()
		n.end(syscall.SIGTERM)
	}
	n.killContainers()
	n.removeBridge()
	n.removeNetns()
	if n.t.Failed() {
		n.t.Log(n.tail())
	}
	for _, m := range mountsBelow(n.dir) {
		n.t.Errorf("left mounted: %s", m)
		syscall.Unmount(m, syscall.MNT_DETACH)
	}
	n.log.Close()
	if len(mountsBelow(n.dir)) == 0 {
		os.RemoveAll(n.dir)
	}
}

func (n *node) removeServices() {
	var services []struct{ Name string }
	if n.json(&services, "service", "list") != nil {
		return
	}
	for _, s := range services {
		n.try("", "service", "delete", s.Name)
	}
}

// killContainers ends at once what a power cut would: the shims that serve this
// node's directories, and the containers below them.
func (n *node) killContainers() {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() || !bytes.Contains(line, []byte(n.dir+"/")) {
			continue
		}
		for _, child := range append(children(pid), pid) {
			syscall.Kill(child, syscall.SIGKILL)
		}
	}
}

// removeBridge removes what a node that was killed at the test's end leaves to
// its next start.
func (n *node) removeBridge() {
	link, err := netlink.LinkByName(network.BridgeName(n.runDir()))
	if err != nil {
		return // as it should be
	}
	netlink.LinkDel(link)
	if c, err := nftables.New(); err == nil {
		c.DelTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: link.Attrs().Name})
		c.Flush()
	}
}

// children lists the processes below pid, the nearest first.
func children(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), children(child)...)
			}
		}
	}
	return all
}

func mountsBelow(dir string) []string {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	var found []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append([]string{fields[4]}, found...)
		}
	}
	return found
}

// nextPort is below the ports that the kernel gives out by itself, so that
// nobody else takes an address between its choice and its use.
var nextPort atomic.Int32

func freeAddress(t *testing.T) string {
	t.Helper()
	nextPort.CompareAndSwap(0, 20000+int32(os.Getpid()%100)*100)
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", nextPort.Add(1))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
