package agent

import (
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestReportsAreRepeatedUntilAcknowledged(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.boss.change(func() { n.boss.mute = true })
		n.machine.end("t1", 5)
		n.boss.await(t, "the event", func() bool { return len(n.boss.events) == 1 })
		n.is("t1", running)
		n.boss.leave()
		n.boss.change(func() { clear(n.boss.tasks); n.boss.mute = false })
		n.boss.comeBack()
		n.boss.await(t, "the event again", func() bool { return len(n.boss.events) == 2 })
		n.is("t1", running)
		n.pass(time.Minute)
		// Acknowledged, it is not said a third time.
		n.boss.leave()
		n.boss.comeBack()
		n.boss.await(t, "a session", func() bool { return n.boss.sessions == 3 })
		n.pass(time.Minute)
		n.boss.mu.Lock()
		defer n.boss.mu.Unlock()
		if len(n.boss.events) != 2 {
			t.Errorf("%d events", len(n.boss.events))
		}
	})
}

// A manager may have been restored to what it was yesterday.
func TestEveryNewSessionHearsAllStatuses(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withVolume(aTask("t1"), "db-data"))
		n.is("t1", running)
		n.pass(time.Minute)
		n.boss.leave()
		n.boss.change(func() { clear(n.boss.tasks); clear(n.boss.volumes) })
		n.boss.comeBack()
		n.is("t1", running)
		n.phase("db-data", ready)
	})
}

func TestHeartbeatsKeepTheManagersPeriod(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.await(t, "a session", func() bool { return n.boss.sessions == 1 })
		n.pass(10*time.Second + time.Millisecond)
		n.boss.mu.Lock()
		defer n.boss.mu.Unlock()
		if n.boss.beats != 10 {
			t.Errorf("%d heartbeats in 10 s", n.boss.beats)
		}
	})
}

func TestLostManagerIsLookedForWithPatience(t *testing.T) {
	onNode(t, func(n *node) {
		<-n.agent.Ready()
		n.boss.leave()
		n.pass(time.Hour)
		back := time.Now()
		n.boss.comeBack()
		n.boss.await(t, "a session", func() bool { return n.boss.sessions == 2 })
		if waited := time.Since(back); waited > reconnectMost*3/2 {
			t.Errorf("back after %v", waited)
		}
	})
}

func TestReadyWaitsForAManager(t *testing.T) {
	onNode(t, func(n *node) {
		<-n.agent.Ready()
		n.restart(n.boss.leave)
		n.pass(time.Minute)
		select {
		case <-n.agent.Ready():
			t.Error("ready without a manager")
		default:
		}
		n.boss.comeBack()
		<-n.agent.Ready()
	})
}

func TestUnchangedAssignmentDisturbsNobody(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withVolume(aTask("t1"), "db-data"))
		n.is("t1", running)
		n.pass(time.Minute)
		n.take()
		reports := n.boss.reported()
		n.full(withVolume(aTask("t1"), "db-data"))
		n.boss.assign(t, &warrenv1.Assignments{Tasks: []*warrenv1.Task{withVolume(aTask("t1"), "db-data")}})
		n.pass(10 * time.Second)
		if lines := n.take(); len(lines) != 0 || n.boss.reported() != reports {
			t.Errorf("did %q, and %d reports", lines, n.boss.reported()-reports)
		}
	})
}
