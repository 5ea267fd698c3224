package bridge

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"

	"github.com/cuemby/warren/internal/worker/network"
)

// address makes the bridge stand and returns the task's address on it: the one
// it has already, or a free one.
func (n *Network) address(taskID string, ns *netNS) (*base, netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.stand(); err != nil {
		return nil, netip.Addr{}, err
	}
	if a, ok := ns.address(); ok && n.base.pool.Claim(taskID, a) {
		return n.base, a, nil
	}
	a, err := n.base.pool.Take(taskID)
	return n.base, a, err
}

// stand makes the bridge unless it stands, finds the tasks that are on it, and
// makes the rules those that should be. Called with mu held.
func (n *Network) stand() error {
	if n.base == nil || !n.base.stands() {
		b, err := newBase(n.bridge, n.options)
		if err != nil {
			return err
		}
		if n.base != nil && n.base.plan == b.plan {
			// Somebody removed the bridge; tasks still have their addresses, also
			// those that have not got as far as a cable.
			b.pool = n.base.pool
		}
		if err := n.claim(b); err != nil {
			return err
		}
		n.base = b
	}
	return n.applyRules(n.base)
}

// claim takes the addresses that tasks have out of the pool, and plugs their
// cables in where a bridge that is no more left them loose.
func (n *Network) claim(b *base) error {
	known, err := n.known()
	if err != nil {
		return err
	}
	for _, id := range known {
		ns, err := existingNetNS(n.netnsPath(id))
		if err != nil {
			continue // Attach makes it.
		}
		a, ok := ns.address()
		ns.Close()
		if !ok {
			continue
		}
		if !b.pool.Claim(id, a) {
			n.options.Log.Warn("task has no address of this node's subnet", "task", id, "address", a, "subnet", b.plan.Subnet)
		}
		if err := b.connect(b.plan.HostLink(id)); err != nil {
			n.options.Log.Warn("task is cut off", "task", id, "error", err)
		}
	}
	return nil
}

// Restore finds the addresses of the tasks that live, and removes namespaces,
// files and cables of all others. What of that does not work is logged and is
// no reason not to start: Attach tries again what a task needs.
func (n *Network) Restore(ctx context.Context, live []string) error {
	known, err := n.known()
	if err != nil {
		return err
	}
	for _, id := range known {
		if slices.Contains(live, id) {
			continue
		}
		if err := n.Detach(ctx, id); err != nil {
			n.options.Log.Warn("left behind by a task of before", "error", err)
		}
	}
	keep := map[string]bool{}
	plan := network.Plan{Bridge: n.bridge}
	for _, id := range live {
		keep[plan.HostLink(id)] = true
	}
	found, err := removePorts(n.bridge, keep)
	if err == nil && found {
		n.mu.Lock()
		err = n.stand()
		n.mu.Unlock()
	}
	if err != nil {
		n.options.Log.Warn("the bridge of before is not as it should be", "error", err)
	}
	return nil
}

// Close stops answering for names, leaves everything else in place for the tasks that go on running, and when
// there are none, takes bridge and rules away.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.base = nil
	n.names.Close()
	n.claims.close()
	link, err := findBridge(n.bridge)
	if link == nil {
		return err
	}
	if tasks, err := ports(link); err != nil || len(tasks) > 0 {
		return err
	}
	return errors.Join(removeRules(n.bridge), removeLink(n.bridge))
}

// known lists the tasks that have a namespace or files.
func (n *Network) known() ([]string, error) {
	var ids []string
	for _, dir := range []string{n.netnsDir(), n.tasksDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if validTask.MatchString(e.Name()) {
				ids = append(ids, e.Name())
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
