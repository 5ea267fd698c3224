package agent

import (
	"cmp"
	"net/netip"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/network"
)

// callable says whether others should call the task: it runs, is healthy as far
// as anybody looks, and is not about to be stopped.
func callable(s *warrenv1.TaskStatus) bool {
	healthy := s.GetHealth() == warrenv1.Health_HEALTH_UNSPECIFIED || s.GetHealth() == warrenv1.Health_HEALTH_HEALTHY
	return s.GetState() == warrenv1.TaskState_TASK_STATE_RUNNING && healthy
}

// standIn tells whether another task answers the calls that are for this one.
func (a *Agent) standIn(leaving *warrenv1.Task) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, t := range a.tasks {
		want, _ := t.current()
		if id != leaving.GetMeta().GetId() && want.GetServiceId() == leaving.GetServiceId() && callable(t.status.Load()) {
			return true
		}
	}
	return false
}

// announce tells the network which tasks there are. It returns once no new call
// comes to one that is not ready.
func (a *Agent) announce() {
	a.announcing.Lock() // or what was looked at first might be told last
	defer a.announcing.Unlock()
	a.mu.Lock()
	members := make([]network.Member, 0, len(a.tasks))
	for _, t := range a.tasks {
		if s := t.status.Load(); !spec.Terminal(s.GetState()) {
			want, _ := t.current()
			members = append(members, member(want, s))
		}
	}
	ctx := a.ctx
	a.mu.Unlock()
	slices.SortFunc(members, func(a, b network.Member) int { return cmp.Compare(a.TaskID, b.TaskID) })
	if err := a.cfg.Network.Announce(ctx, members); err != nil {
		a.log.Error("names and published ports are not up to date yet", "error", err)
	}
}

// member is what a task is to others.
func member(want *warrenv1.Task, s *warrenv1.TaskStatus) network.Member {
	address, _ := netip.ParseAddr(s.GetAddress()) // none without a bridge
	return network.Member{
		TaskID: want.GetMeta().GetId(), Task: want.GetMeta().GetName(), Namespace: want.GetMeta().GetNamespace(),
		ServiceID: want.GetServiceId(), Service: want.GetService(), Slot: want.GetSlot(),
		Address: address, Ports: portsOf(want), Ready: callable(s),
	}
}

func portsOf(want *warrenv1.Task) []network.Port {
	var ports []network.Port
	for _, p := range want.GetContainer().GetPorts() {
		host, _ := netip.ParseAddr(p.GetHostAddress()) // empty is all of them
		ports = append(ports, network.Port{
			HostAddress: host, HostPort: uint16(p.GetHostPort()), Port: uint16(p.GetContainerPort()), Protocol: spec.ProtocolName(p.GetProtocol()),
		})
	}
	return ports
}
