package bridge

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cuemby/warren/internal/worker/network"
	"golang.org/x/sys/unix"
)

// claims are the node's ports that tasks publish. Each is held by a socket that
// never listens, so that no other program takes the port, and it shows when one
// has it: packet rules alone would take it away from under that program.
type claims struct{ held map[place]*claim }

// place is what belongs to one service at a time, on whichever address.
type place struct {
	protocol string
	port     uint16
}

func (p place) String() string { return fmt.Sprintf("%d/%s", p.port, p.protocol) }

type claim struct {
	socket             int
	serviceID, service string
	tasks              map[string]bool
}

func newClaims() *claims { return &claims{held: map[place]*claim{}} }

// take takes all ports for a task, or none that it did not have. ErrTaken when
// another has one of them.
func (c *claims) take(taskID, serviceID, service string, ports []network.Port) error {
	var taken []place
	for _, p := range ports {
		at := place{p.Protocol, p.HostPort}
		held := c.held[at]
		if held != nil && held.tasks[taskID] {
			continue
		}
		err := error(nil)
		switch {
		case held == nil:
			var socket int
			if socket, err = hold(p); err == nil {
				c.held[at] = &claim{socket: socket, serviceID: serviceID, service: service, tasks: map[string]bool{taskID: true}}
			}
		case held.serviceID != serviceID:
			err = refuse(network.ErrTaken, "port %s of this node is still held by a task of service %s, and comes free when that has stopped", at, held.service)
		default:
			held.tasks[taskID] = true
		}
		if err != nil {
			for _, at := range taken {
				c.giveOne(taskID, at)
			}
			return err
		}
		taken = append(taken, at)
	}
	return nil
}

// give gives back what the task has.
func (c *claims) give(taskID string) {
	for at := range c.held {
		c.giveOne(taskID, at)
	}
}

func (c *claims) giveOne(taskID string, at place) {
	held := c.held[at]
	delete(held.tasks, taskID)
	if len(held.tasks) == 0 {
		_ = unix.Close(held.socket)
		delete(c.held, at)
	}
}

// close gives everything back.
func (c *claims) close() {
	for at, held := range c.held {
		_ = unix.Close(held.socket)
		delete(c.held, at)
	}
}

// hold binds a socket to the port. It does not listen: whoever calls while no
// task is ready is refused by the kernel instead of being kept waiting.
func hold(p network.Port) (socket int, err error) {
	kind := unix.SOCK_STREAM
	if p.Protocol == network.UDP {
		kind = unix.SOCK_DGRAM
	}
	socket, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := bind(socket, p); err != nil {
		_ = unix.Close(socket)
		return -1, explain(p, err)
	}
	return socket, nil
}

func bind(socket int, p network.Port) error {
	to := &unix.SockaddrInet4{Port: int(p.HostPort)}
	if p.HostAddress.IsValid() {
		to.Addr = p.HostAddress.As4()
	}
	if p.Protocol == network.UDP {
		return unix.Bind(socket, to)
	}
	// Connections that have ended are no obstacle to us; but we are to others
	// who say the same.
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(socket, to); err != nil {
		return err
	}
	return unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
}

// refusal says in whole what is wrong and what can be done; who passes it on
// need not add anything.
type refusal struct {
	kind error
	text string
}

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

// explain says what a person can do.
func explain(p network.Port, err error) error {
	at := place{p.Protocol, p.HostPort}
	host := netip.IPv4Unspecified()
	if p.HostAddress.IsValid() {
		host = p.HostAddress
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		letter := p.Protocol[:1]
		return refuse(network.ErrTaken, "port %s of this node is used by another program; \"ss -ln%sp 'sport = :%d'\" shows which; stop it, or publish another port",
			at, letter, p.HostPort)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return refuse(network.ErrInvalid, "port %s cannot be published at %s: that is no address of this node", at, host)
	}
	return fmt.Errorf("take port %s at %s: %w", at, host, err)
}
