// Package network is what the worker knows of networks: the interface that
// gives a task its network namespace, and the pure plan of it, which says what
// bridge, subnet, address and names a node and its tasks have. Package bridge
// makes the plan true on Linux.
package network

import (
	"context"
	"errors"
	"net/netip"
)

var (
	// ErrExhausted is returned when the subnet has no free address.
	ErrExhausted = errors.New("no free address")
	// ErrInvalid is returned for what can never work: a task ID that is no
	// file name, a subnet that overlaps another network of the machine.
	ErrInvalid = errors.New("invalid network")
	// ErrTaken is returned for a port of the node that another program or
	// another service's task has.
	ErrTaken = errors.New("port taken")
)

// Mode is what a task's network namespace is.
type Mode string

const (
	// ModeBridge is a namespace of its own on the node's bridge.
	ModeBridge Mode = "bridge"
	// ModeHost is the host's namespace.
	ModeHost Mode = "host"
	// ModeNone is a namespace of its own with nothing but loopback.
	ModeNone Mode = "none"
)

// Network connects tasks, leads the ports they publish to them, and answers
// for their names. Every call is idempotent, since the caller may be
// killed between a call and writing down that it made it. Methods may be called
// from any goroutine, but not for the same task at once.
type Network interface {
	// Attach makes the task's namespace and connects it, or finds both there,
	// and takes the node's ports that the task publishes.
	Attach(ctx context.Context, s Sandbox) (Endpoint, error)
	// Detach removes everything that Attach made. Gone is no error.
	Detach(ctx context.Context, taskID string) error
	// Restore is called once, before the first Attach: it keeps the addresses
	// of the tasks that live and removes what others left behind.
	Restore(ctx context.Context, live []string) error
	// Announce replaces what is known of the node's tasks. When it returns,
	// names and published ports lead to the ready ones only. After an error
	// they may not yet, and are made to as soon as it is possible.
	Announce(ctx context.Context, members []Member) error
}

// Sandbox asks for a task's network.
type Sandbox struct {
	TaskID    string
	Mode      Mode
	Hostname  string
	Namespace string
	// ServiceID and Service are whom the task, and so its ports, belong to.
	ServiceID, Service string
	Ports              []Port
}

// Endpoint is a task's network.
type Endpoint struct {
	// NetNSPath is a file that holds the namespace; empty is the host's.
	NetNSPath string
	// Address is where the host reaches the task; unset without a bridge.
	Address netip.Addr
	Gateway netip.Addr
	// Files to bind over the container's /etc/hosts, /etc/hostname and
	// /etc/resolv.conf.
	HostsPath      string
	HostnamePath   string
	ResolvConfPath string
}
