package network

import (
	"fmt"
	"net/netip"
)

// Pool hands out a subnet's addresses. It goes round: an address that was given
// back is the last to be used again, so that what somebody still remembers
// under it does not soon mean somebody else. It is not for several goroutines.
type Pool struct {
	plan   Plan
	byTask map[string]netip.Addr
	byAddr map[netip.Addr]string
	// The address handed out last.
	last netip.Addr
}

// NewPool returns a Pool with all of the plan's addresses free, but the
// network's own, the gateway's and the broadcast address.
func NewPool(p Plan) *Pool {
	return &Pool{plan: p, byTask: map[string]netip.Addr{}, byAddr: map[netip.Addr]string{}, last: p.Gateway}
}

// Take returns the task's address, the same as long as it keeps it.
// ErrExhausted when there is none.
func (p *Pool) Take(taskID string) (netip.Addr, error) {
	if a, ok := p.byTask[taskID]; ok {
		return a, nil
	}
	for a := p.after(p.last); ; a = p.after(a) {
		if p.byAddr[a] == "" && p.usable(a) {
			p.set(taskID, a)
			p.last = a
			return a, nil
		}
		if a == p.last {
			return netip.Addr{}, fmt.Errorf("%w: all of %s are used, by %d tasks", ErrExhausted, p.plan.Subnet, len(p.byTask))
		}
	}
}

// Claim records the address that a task was found with; false when it is not
// the plan's to give, or another task has it.
func (p *Pool) Claim(taskID string, a netip.Addr) bool {
	if owner := p.byAddr[a]; !p.usable(a) || owner != "" && owner != taskID {
		return false
	}
	p.Release(taskID)
	p.set(taskID, a)
	return true
}

// Release gives the task's address back, if it has one.
func (p *Pool) Release(taskID string) (netip.Addr, bool) {
	a, ok := p.byTask[taskID]
	if ok {
		delete(p.byTask, taskID)
		delete(p.byAddr, a)
	}
	return a, ok
}

func (p *Pool) set(taskID string, a netip.Addr) {
	p.byTask[taskID], p.byAddr[a] = a, taskID
}

// after goes round the subnet.
func (p *Pool) after(a netip.Addr) netip.Addr {
	if next := a.Next(); p.plan.Subnet.Contains(next) {
		return next
	}
	return p.plan.Subnet.Addr()
}

func (p *Pool) usable(a netip.Addr) bool {
	s := p.plan.Subnet
	return s.Contains(a) && a != s.Addr() && a != p.plan.Gateway && s.Contains(a.Next())
}
