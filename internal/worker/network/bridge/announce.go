package bridge

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cuemby/warren/internal/worker/network"
)

// repairPeriod is how often it is looked whether everything is in place.
const repairPeriod = 5 * time.Second

// Announce has names and published ports lead to the members that are ready.
func (n *Network) Announce(_ context.Context, members []network.Member) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names.Set(members)
	before := n.forwards
	n.forwards = network.Forwards(members)
	for _, m := range members {
		// After a restart these are taken again. Whoever took a port meanwhile
		// is not called: the rules come first.
		if !m.Ready || !m.Address.IsValid() {
			continue
		}
		if err := n.claims.take(m.TaskID, m.ServiceID, m.Service, m.Ports); err != nil {
			n.options.Log.Warn("a published port is not held", "task", m.Task, "error", err)
		}
	}
	if network.SameForwards(before, n.forwards) && (n.base == nil || n.base.rules != nil) {
		return nil // and the bridge comes with the first task
	}
	return n.stand()
}

// Run repairs what others break, until ctx ends.
func (n *Network) Run(ctx context.Context) error {
	tick := time.NewTicker(repairPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := n.repair(); err != nil {
			n.options.Log.Error("the network is not as it should be; trying again", "error", err)
		}
	}
}

func (n *Network) repair() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.base == nil {
		return nil
	}
	return n.stand()
}

// applyRules makes the rules those that should be, unless they are already.
// Called with mu held.
func (n *Network) applyRules(b *base) error {
	port, err := n.names.Listen(b.plan.Gateway, b.plan.Subnet)
	if err != nil {
		// Tasks run all the same.
		n.options.Log.Error("service names are not answered; trying again", "error", err)
	}
	want := &rules{Plan: b.plan, namesPort: port, forwards: n.forwards}
	if want.equal(b.rules) {
		return nil
	}
	before := b.rules
	b.rules = nil
	apply := want.apply
	if want.sameBut(before) {
		apply = want.lead
	}
	if err := apply(); err != nil {
		return fmt.Errorf("packet rules of bridge %s: %w", b.plan.Bridge, err)
	}
	if err := localnet(b.plan.Bridge); err != nil {
		return err
	}
	if err := endFlows(before, want); err != nil {
		return err
	}
	b.rules = want
	return nil
}

// localnet lets answers to the machine's loopback in from the bridge. The rules
// have to be there before: they keep everything else out.
func localnet(bridge string) error {
	path := "/proc/sys/net/ipv4/conf/" + bridge + "/route_localnet"
	if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("publish ports on the loopback address too: %w", err)
	}
	return nil
}
