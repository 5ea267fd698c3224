// Package bridge connects tasks on Linux: a network namespace and a veth pair
// for each task, one bridge and one nftables table for each node, and on the
// bridge somebody who answers for names.
//
// Nothing is written down beside the kernel's own state: the bridge has the
// subnet, and each namespace, held by a file in the run directory, the task's
// address. So a restart finds everything as it is, also after SIGKILL.
//
//	<run-dir>/netns/<task>                               holds the namespace
//	<run-dir>/tasks/<task>/hosts, hostname, resolv.conf  for the container
package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/cuemby/warren/internal/worker/network"
	"github.com/cuemby/warren/internal/worker/network/dns"
)

// Options say where a node's network is.
type Options struct {
	// RunDir is the node's; the names of bridge and table follow from it.
	RunDir string
	// Subnet of the bridge; one that no route of the machine overlaps is
	// chosen when it is zero.
	Subnet netip.Prefix
	Log    *slog.Logger
}

// Network is the network.Network of one node.
type Network struct {
	options Options
	bridge  string

	mu sync.Mutex
	// base is nil until the bridge is known to stand.
	base     *base
	claims   *claims
	forwards []network.Forward

	names *dns.Server
}

var _ network.Network = (*Network)(nil)

// Open makes the directories. The bridge is made when a task needs it, so that
// a machine without one can still run tasks in the host's network.
func Open(o Options) (*Network, error) {
	n := &Network{
		options: o, bridge: network.BridgeName(o.RunDir), claims: newClaims(),
		names: dns.New(upstreams, o.Log),
	}
	for _, dir := range []string{n.netnsDir(), n.tasksDir()} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Network) netnsDir() string           { return filepath.Join(n.options.RunDir, "netns") }
func (n *Network) netnsPath(id string) string { return filepath.Join(n.netnsDir(), id) }
func (n *Network) tasksDir() string           { return filepath.Join(n.options.RunDir, "tasks") }

var (
	validTask = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	validHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)
)

func check(s network.Sandbox) error {
	if !validTask.MatchString(s.TaskID) {
		return fmt.Errorf("%w: %q is no task's ID", network.ErrInvalid, s.TaskID)
	}
	if s.Mode != network.ModeHost && !validHost.MatchString(s.Hostname) {
		return fmt.Errorf("%w: task %s: %q is no hostname", network.ErrInvalid, s.TaskID, s.Hostname)
	}
	return nil
}

// Attach makes what is missing of the task's network.
func (n *Network) Attach(_ context.Context, s network.Sandbox) (network.Endpoint, error) {
	if err := check(s); err != nil {
		return network.Endpoint{}, err
	}
	var e network.Endpoint
	var err error
	switch s.Mode {
	case network.ModeHost:
	case network.ModeNone:
		e, err = n.alone(s)
	case network.ModeBridge:
		e, err = n.plugged(s)
	default:
		err = fmt.Errorf("%w: mode %q", network.ErrInvalid, s.Mode)
	}
	if err == nil {
		err = n.writeFiles(s, &e)
	}
	if _, whole := errors.AsType[*refusal](err); whole {
		return network.Endpoint{}, err
	}
	if err != nil {
		return network.Endpoint{}, fmt.Errorf("network of task %s: %w", s.TaskID, err)
	}
	return e, nil
}

// alone gives the task a namespace with nothing but loopback.
func (n *Network) alone(s network.Sandbox) (network.Endpoint, error) {
	ns, err := openNetNS(n.netnsPath(s.TaskID))
	if err != nil {
		return network.Endpoint{}, err
	}
	defer ns.Close()
	return network.Endpoint{NetNSPath: ns.path}, ns.loopbackUp()
}

// plugged gives the task a namespace with a cable to the bridge.
func (n *Network) plugged(s network.Sandbox) (network.Endpoint, error) {
	n.mu.Lock()
	err := n.claims.take(s.TaskID, s.ServiceID, s.Service, s.Ports)
	n.mu.Unlock()
	if err != nil {
		return network.Endpoint{}, err
	}
	ns, err := openNetNS(n.netnsPath(s.TaskID))
	if err != nil {
		return network.Endpoint{}, err
	}
	defer ns.Close()
	if err := ns.loopbackUp(); err != nil {
		return network.Endpoint{}, err
	}
	b, address, err := n.address(s.TaskID, ns)
	if err != nil {
		return network.Endpoint{}, err
	}
	if err := b.plug(ns, b.plan.Task(s.TaskID, address), b.plan.Gateway); err != nil {
		return network.Endpoint{}, err
	}
	return network.Endpoint{NetNSPath: ns.path, Address: address, Gateway: b.plan.Gateway}, nil
}

// Detach removes the task's cable, namespace and files.
func (n *Network) Detach(_ context.Context, taskID string) error {
	if !validTask.MatchString(taskID) {
		return fmt.Errorf("%w: %q is no task's ID", network.ErrInvalid, taskID)
	}
	// The kernel would take the cable away with the namespace, but only some
	// time after the last process left it.
	plan := network.Plan{Bridge: n.bridge}
	err := errors.Join(
		removeLink(plan.HostLink(taskID)),
		removeNetNS(n.netnsPath(taskID)),
		n.removeFiles(taskID),
	)
	if err != nil {
		return fmt.Errorf("network of task %s: %w", taskID, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.claims.give(taskID)
	if n.base == nil {
		return nil
	}
	if address, had := n.base.pool.Release(taskID); had {
		if err := forgetFlows(address); err != nil {
			n.options.Log.Warn("callers of a task that is gone may have to wait", "task", taskID, "error", err)
		}
	}
	return nil
}
