package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// healthyFor is long enough for several checks.
const healthyFor = time.Minute

// onePin is a task with one secret, in the state it had at that version.
func onePin(version uint64, change func(*warrenv1.Task)) *warrenv1.Task {
	t := withSecret(aTask("t1"), "pw")
	t.Secrets[0].Version = version
	if change != nil {
		change(t)
	}
	return t
}

func hangUp(t *warrenv1.Task) { t.Secrets[0].Signal = "SIGHUP" }

// publish lets the manager have another version of the secret.
func (n *node) publish(version uint64, value string) {
	n.boss.change(func() { n.boss.secrets["secret-pw"], n.boss.versions["secret-pw"] = []byte(value), version })
}

// sees waits until the container has that version, and the manager knows.
func (n *node) sees(version uint64) {
	n.Helper()
	n.boss.await(n.T, "the new version", func() bool {
		s := n.boss.tasks["t1"].GetSecrets()
		return len(s) == 1 && s[0].GetVersion() == version
	})
}

func TestANewVersionIsPutUnderTheRunningContainer(t *testing.T) {
	onNode(t, func(n *node) {
		n.publish(1, "one")
		n.full(onePin(1, nil))
		n.is("t1", running)
		n.sees(1)
		n.publish(2, "two")
		n.full(onePin(2, nil))
		n.sees(2)
		if got := n.drawer.read(t, "t1/pw"); got != "two" {
			t.Errorf("the container reads %q", got)
		}
		if n.count("start t1") != 1 || n.count("remove t1 pw") != 0 || n.boss.tasks["t1"].GetRestarts() != 0 {
			t.Errorf("the container was disturbed: %q", n.take())
		}
		n.hasEvent("secret-updated")
		// A crash later it is the same version, and nobody was asked for it.
		n.take()
		n.machine.end("t1", 1)
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		n.sees(2)
		if n.count("write t1 pw") != 0 {
			t.Error("it was fetched again")
		}
	})
}

func TestTheContainerIsToldOfANewVersion(t *testing.T) {
	onNode(t, func(n *node) {
		n.publish(1, "one")
		n.full(onePin(1, hangUp))
		n.is("t1", running)
		if n.count("signal t1 hangup") != 0 {
			t.Error("it was told of the first one")
		}
		n.take()
		n.publish(2, "two")
		n.full(onePin(2, hangUp))
		n.soon("the signal", func() bool { return n.count("signal t1 hangup") == 1 })
		if lines := n.take(); strings.Join(lines, ", ") != "write t1 pw, signal t1 hangup" {
			t.Errorf("did %q", lines)
		}
	})
}

// The signal is owed once the file is replaced, whatever happens to the
// program.
func TestASignalSurvivesARestartOfTheWorker(t *testing.T) {
	onNode(t, func(n *node) {
		n.publish(1, "one")
		n.full(onePin(1, hangUp))
		n.is("t1", running)
		n.machine.mu.Lock()
		n.machine.signalError = errors.New("not now")
		n.machine.mu.Unlock()
		n.publish(2, "two")
		n.full(onePin(2, hangUp))
		n.boss.await(t, "the failure is told", func() bool { return strings.Contains(n.boss.tasks["t1"].GetMessage(), "not now") })
		n.restart(func() {
			n.machine.mu.Lock()
			n.machine.signalError = nil
			n.machine.mu.Unlock()
			n.take()
		})
		n.soon("the signal", func() bool { return n.count("signal t1 hangup") == 1 })
		n.sees(2)
		if n.count("write t1 pw") != 0 {
			t.Error("it was written twice")
		}
	})
}

func TestAVersionThatDoesNotFitLeavesTheOneBefore(t *testing.T) {
	onNode(t, func(n *node) {
		n.publish(1, "one")
		n.full(onePin(1, hangUp))
		n.is("t1", running)
		n.drawer.full.Store(true)
		n.publish(2, "two")
		n.full(onePin(2, hangUp))
		n.boss.await(t, "it is told", func() bool { return strings.Contains(n.boss.tasks["t1"].GetMessage(), "is full") })
		n.sees(1)
		if got := n.drawer.read(t, "t1/pw"); got != "one" || n.boss.tasks["t1"].GetState() != running || n.count("signal t1 hangup") != 0 {
			t.Errorf("the container reads %q", got)
		}
		n.drawer.full.Store(false)
		n.sees(2)
		if s := n.boss.tasks["t1"]; s.GetMessage() != "" {
			t.Errorf("message %q", s.GetMessage())
		}
	})
}

func TestAVersionThatIsGoneLeavesTheOneBefore(t *testing.T) {
	onNode(t, func(n *node) {
		n.publish(1, "one")
		n.full(onePin(1, nil))
		n.is("t1", running)
		n.full(onePin(3, nil))
		n.boss.await(t, "it is told", func() bool { return strings.Contains(n.boss.tasks["t1"].GetMessage(), "instead of version 3") })
		n.sees(1)
		if n.drawer.read(t, "t1/pw") != "one" {
			t.Error("the version before is gone")
		}
	})
}

// Between the assignment and the fetch there may be a newer version already.
func TestATaskThatWasOvertakenByANewVersionWaitsForIt(t *testing.T) {
	onNode(t, func(n *node) {
		n.publish(2, "two")
		n.full(onePin(1, nil))
		n.boss.await(t, "it waits", func() bool {
			return strings.Contains(n.boss.tasks["t1"].GetMessage(), "version 2 of secret pw is on its way")
		})
		if s := n.boss.tasks["t1"]; s.GetState() != preparing {
			t.Errorf("it is %v", s)
		}
		n.full(onePin(2, nil))
		n.is("t1", running)
		n.sees(2)
		// The same while it runs.
		n.publish(4, "four")
		n.full(onePin(3, nil))
		n.boss.await(t, "it waits", func() bool {
			return strings.Contains(n.boss.tasks["t1"].GetMessage(), "version 4 of secret pw is on its way")
		})
		n.full(onePin(4, nil))
		n.sees(4)
		if n.count("start t1") != 1 {
			t.Error("it was started anew")
		}
	})
}

func unmounts(t *warrenv1.Task) {
	checked(t).Container.UnmountSecrets = warrenv1.UnmountSecrets_UNMOUNT_SECRETS_HEALTHY
}

func TestSecretsGoWhenTheTaskIsHealthy(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		p.code.Store(1)
		n.machine.exec = p.exec
		n.publish(1, "one")
		n.full(onePin(1, unmounts))
		n.is("t1", running)
		n.sees(1)
		p.code.Store(0)
		n.hasHealth("t1", healthy)
		n.soon("the file is gone", func() bool { return n.drawer.read(t, "t1/pw") == "" })
		n.boss.await(t, "the manager knows", func() bool { return len(n.boss.tasks["t1"].GetSecrets()) == 0 })
		n.hasEvent("secrets-unmounted")
		p.code.Store(1)
		n.machine.end("t1", 1)
		n.sees(1)
		if got := n.drawer.read(t, "t1/pw"); got != "one" {
			t.Errorf("after a restart the container reads %q", got)
		}
		p.code.Store(0)
		n.soon("the file is gone again", func() bool { return n.drawer.read(t, "t1/pw") == "" })

		// The checks go on, and a new version does not bring them back.
		n.publish(2, "two")
		n.full(onePin(2, unmounts))
		n.pass(healthyFor)
		if n.drawer.read(t, "t1/pw") != "" || n.boss.tasks["t1"].GetHealth() != healthy {
			t.Errorf("it has its secrets again, or is not healthy: %v", n.boss.tasks["t1"])
		}

		// A restart needs a manager, and says so.
		p.code.Store(1)
		n.boss.change(func() { n.boss.away = true; n.boss.end() })
		n.machine.end("t1", 1)
		n.soon("it waits", func() bool {
			return strings.Contains(n.agent.tasks["t1"].status.Load().GetMessage(), "no manager answers to send them again")
		})
		if n.count("start t1") != 2 {
			t.Error("it was started without its secrets")
		}
		n.boss.change(func() { n.boss.away = false })
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 2 })
		n.sees(2)
	})
}

func TestUnmountedSecretsStayAwayThroughARestartOfTheWorker(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		n.machine.exec = p.exec
		n.publish(1, "one")
		n.full(onePin(1, unmounts))
		n.hasHealth("t1", healthy)
		n.soon("the file is gone", func() bool { return n.drawer.read(t, "t1/pw") == "" })
		n.restart(func() { n.take() })
		n.hasHealth("t1", healthy)
		n.pass(healthyFor)
		if n.count("write t1 pw") != 0 {
			t.Error("they came back")
		}
	})
}
