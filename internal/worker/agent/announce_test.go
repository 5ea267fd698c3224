package agent

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/network"
)

func TestATaskIsAnnouncedWhileItRuns(t *testing.T) {
	onNode(t, func(n *node) {
		task := aTask("t1")
		task.ServiceId = "app-1"
		task.Container.Ports = []*warrenv1.PublishedPort{
			{HostAddress: "127.0.0.1", HostPort: 8080, ContainerPort: 80},
			{HostPort: 53, ContainerPort: 5353, Protocol: warrenv1.Protocol_PROTOCOL_UDP},
		}
		n.full(task)
		n.is("t1", running)
		want := []network.Member{{
			TaskID: "t1", Task: "app-task-1", Namespace: "default", ServiceID: "app-1", Service: "app", Slot: 1,
			Address: netip.MustParseAddr("10.0.0.2"), Ready: true,
			Ports: []network.Port{
				{HostAddress: netip.MustParseAddr("127.0.0.1"), HostPort: 8080, Port: 80, Protocol: network.TCP},
				{HostPort: 53, Port: 5353, Protocol: network.UDP},
			},
		}}
		if !reflect.DeepEqual(n.wires.members, want) {
			t.Errorf("announced %+v, want %+v", n.wires.members, want)
		}
		if s := n.wires.sandbox; s.Namespace != "default" || s.ServiceID != "app-1" || s.Service != "app" || !slices.Equal(s.Ports, want[0].Ports) {
			t.Errorf("attached as %+v", s)
		}
		n.machine.end("t1", 9)
		n.is("t1", backingUp)
		if ready := n.wires.ready(); len(ready) != 0 || len(n.wires.members) != 1 {
			t.Errorf("after a crash %v are called", ready)
		}
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		if ready := n.wires.ready(); !slices.Equal(ready, []string{"t1"}) {
			t.Errorf("after a restart in place %v are called", ready)
		}
	})
}

func TestNobodyCallsATaskThatIsAskedToStop(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.take()
		n.wires.mu.Lock()
		n.wires.loud = true
		n.wires.mu.Unlock()
		stop := aTask("t1")
		stop.Desired = warrenv1.DesiredState_DESIRED_STATE_STOPPED
		n.full(stop)
		n.is("t1", stopped)
		lines := n.take()
		left, asked := slices.Index(lines, "ready []"), slices.Index(lines, "signal t1 terminated")
		if left < 0 || asked < left {
			t.Errorf("%q", lines)
		}
		if len(n.wires.members) != 0 && n.wires.members[0].Ready {
			t.Errorf("announced: %+v", n.wires.members)
		}
	})
}

func TestTasksOfBeforeAreAnnouncedWithoutAManager(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.restart(func() {
			n.boss.leave()
			n.wires.members = nil
		})
		n.pass(time.Minute)
		if ready := n.wires.ready(); !slices.Equal(ready, []string{"t1"}) {
			t.Errorf("called are %v", ready)
		}
	})
}

// Its address went with the machine's memory; it may be another's now.
func TestTasksOfBeforeARebootAreNotAnnounced(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		n.full(withSecret(aTask("t1"), "pw"))
		n.is("t1", running)
		n.restart(func() {
			n.boss.leave()
			n.bootID = "boot-2"
			n.machine.mu.Lock()
			clear(n.machine.boxes)
			n.machine.mu.Unlock()
		})
		n.pass(time.Minute) // its secret cannot be had
		if ready := n.wires.ready(); len(ready) != 0 {
			t.Errorf("called are %v", ready)
		}
	})
}

func TestOnlyHealthyTasksAreReady(t *testing.T) {
	for health, want := range map[warrenv1.Health]bool{
		warrenv1.Health_HEALTH_UNSPECIFIED: true, warrenv1.Health_HEALTH_HEALTHY: true,
		warrenv1.Health_HEALTH_STARTING: false, warrenv1.Health_HEALTH_UNHEALTHY: false,
	} {
		if got := callable(&warrenv1.TaskStatus{State: running, Health: health}); got != want {
			t.Errorf("%v: ready is %v", health, got)
		}
	}
}

// Calls that are under way to a task when it leaves still find it.
func TestATaskLeavesSomeTimeBeforeItsStopSignal(t *testing.T) {
	for name, alone := range map[string]bool{"another one stands in": false, "nobody does": true} {
		t.Run(name, func(t *testing.T) {
			onNode(t, func(n *node) {
				one, two := aTask("t1"), aTask("t2")
				one.ServiceId, two.ServiceId = "app", "app"
				if alone {
					two.ServiceId = "other"
				}
				n.full(one, two)
				n.is("t1", running)
				n.is("t2", running)
				began := time.Now()
				one = unwanted(aTask("t1"))
				one.ServiceId = "app"
				n.full(one, two)
				n.is("t1", stopped)
				if took := time.Since(began); alone && took >= drainTime || !alone && took < drainTime {
					t.Errorf("stopped after %v", took)
				}
			})
		})
	}
}
