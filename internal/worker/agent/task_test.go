package agent

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestAssignedTaskRuns(t *testing.T) {
	onNode(t, func(n *node) {
		task := withVolume(aTask("t1"), "db-data")
		task.Container.Args = []string{"serve"}
		task.Container.Env = []*warrenv1.EnvVar{{Name: "A", Value: "b"}}
		n.full(task)
		s := n.is("t1", running)
		if s.GetImageDigest() != "sha256:app" || s.GetStartedAt() == nil || s.GetRestarts() != 0 {
			t.Errorf("status %v", s)
		}
		c := n.machine.asked("t1")
		if c.Image != "docker.io/library/app:1" || c.Hostname != "app-task-1" || !slices.Equal(c.Args, []string{"serve"}) || !slices.Equal(c.Env, []string{"A=b"}) {
			t.Errorf("container %+v", c)
		}
		if c.Labels["warren.service"] != "app" || c.Labels["warren.task"] != "app-task-1" || c.NetNS != "/run/netns/t1" {
			t.Errorf("container %+v", c)
		}
		var targets []string
		for _, m := range c.Mounts {
			targets = append(targets, m.Target)
		}
		if !slices.Equal(targets, []string{"/etc/hosts", "/data"}) {
			t.Errorf("mounted %v", targets)
		}
		if _, err := os.Stat(n.volumeRoot() + "/db-data"); err != nil {
			t.Error(err)
		}
		if v := n.boss.volumes["vol-db-data"]; v.GetPhase() != warrenv1.VolumePhase_VOLUME_PHASE_READY || v.GetMountPoint() != n.volumeRoot()+"/db-data" {
			t.Errorf("volume %v", v)
		}
	})
}

func TestCrashedTaskIsRestartedWithGrowingPatience(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		var waits []time.Duration
		for range 10 {
			crashed := time.Now()
			n.machine.end("t1", 3)
			s := n.is("t1", backingUp)
			if s.GetExitCode() != 3 || s.GetExitReason() != "exited with code 3" || s.GetFinishedAt() == nil {
				t.Errorf("status %v", s)
			}
			n.is("t1", running)
			waits = append(waits, time.Since(crashed))
		}
		ms := time.Millisecond
		want := []time.Duration{200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 30000 * ms, 30000 * ms}
		for i := range want {
			if over := waits[i] - want[i]; over < 0 || over > 10*ms {
				t.Errorf("waited %v, want %v", waits, want)
				break
			}
		}
		if s := n.is("t1", running); s.GetRestarts() != 10 || s.GetExitCode() != 3 {
			t.Errorf("after ten restarts: %v", s)
		}
		// Having run well, it is given a fresh start.
		n.pass(ranWell)
		crashed := time.Now()
		n.machine.end("t1", 137)
		if s := n.is("t1", backingUp); s.GetExitReason() != "killed by SIGKILL" {
			t.Errorf("status %v", s)
		}
		n.is("t1", running)
		if waited := time.Since(crashed); waited > 2*backoffFirst {
			t.Errorf("waited %v after having run well", waited)
		}
		n.boss.await(t, "events", func() bool { return len(n.boss.events) == 11 })
	})
}

func TestTaskIsRestartedWithoutManager(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		n.full(withSecret(aTask("t1"), "pw"))
		n.is("t1", running)
		n.boss.leave()
		n.machine.end("t1", 1)
		n.pass(time.Second)
		if !n.machine.running("t1") {
			t.Error("not restarted")
		}
		if got := n.drawer.read(t, "t1/pw"); got != "s3cret" {
			t.Errorf("secret is %q", got)
		}
		// What happened meanwhile is told to the next manager.
		n.boss.comeBack()
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
	})
}

func TestStopUndoesInReverseAndReportsLast(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		n.machine.deaf = true
		task := withSecret(withVolume(aTask("t1"), "db-data"), "pw")
		task.Container.StopTimeout = durationpb.New(25 * time.Second)
		n.full(task)
		n.is("t1", running)
		n.take()

		begin := time.Now()
		task = withSecret(withVolume(aTask("t1"), "db-data"), "pw")
		task.Container.StopTimeout = durationpb.New(25 * time.Second)
		n.full(unwanted(task))
		s := n.is("t1", stopped)
		want := []string{"signal t1 terminated", "signal t1 killed", "delete t1", "detach t1", "wipe t1"}
		if lines := n.take(); !slices.Equal(lines, want) {
			t.Errorf("did %q, want %q", lines, want)
		}
		if waited := time.Since(begin); waited < 25*time.Second || waited > 26*time.Second {
			t.Errorf("SIGKILL after %v", waited)
		}
		if s.GetExitCode() != 137 || s.GetExitReason() != "killed by SIGKILL" {
			t.Errorf("status %v", s)
		}
	})
}

func TestStopAsksAsTheImageWants(t *testing.T) {
	onNode(t, func(n *node) {
		n.machine.stopSignal = syscall.SIGINT
		n.full(aTask("t1"))
		n.is("t1", running)
		n.take()
		n.full(unwanted(aTask("t1")))
		n.is("t1", stopped)
		if lines := n.take(); lines[0] != "signal t1 interrupt" {
			t.Errorf("did %q, want the image's signal first", lines)
		}
	})
}

func TestStopWhilePreparing(t *testing.T) {
	onNode(t, func(n *node) {
		task := aTask("t1")
		task.Container.Image = "missing:1"
		n.full(task)
		n.is("t1", backingUp)
		n.full(unwanted(task))
		if s := n.is("t1", stopped); s.ExitCode != nil {
			t.Errorf("status %v", s)
		}
	})
}

func TestRemovedTaskIsForgottenWithItsLogs(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.boss.assign(t, &warrenv1.Assignments{RemovedTasks: []string{"t1"}})
		n.soon("the task is forgotten", func() bool { return !n.agent.assigned("t1") })
		if n.machine.running("t1") {
			t.Error("its container still runs")
		}
		if _, err := os.Stat(n.agent.logDir("t1")); !os.IsNotExist(err) {
			t.Errorf("logs: %v", err)
		}
		if _, p, err := n.agent.state.record("t1"); err != nil || p.Running {
			t.Errorf("record %v, %v", p, err)
		}
	})
}

func TestMissingImageSaysSoUntilItIsLoaded(t *testing.T) {
	onNode(t, func(n *node) {
		task := aTask("t1")
		task.Container.Image = "missing:1"
		n.full(task)
		if s := n.is("t1", backingUp); !strings.Contains(s.GetMessage(), "manifest unknown") {
			t.Errorf("message %q lacks the registry's answer", s.GetMessage())
		}
		n.pass(10 * time.Minute)
		loaded := time.Now()
		images := n.load(t, "docker.io/library/missing:1", nil)
		if len(images.GetImages()) != 1 || images.GetImages()[0].GetNodeId() != "node-1" {
			t.Errorf("answer %v", images)
		}
		n.is("t1", running)
		if waited := time.Since(loaded); waited > 0 {
			t.Errorf("started %v after the image was loaded", waited)
		}
	})
}

func TestStartErrorIsTriedAgain(t *testing.T) {
	onNode(t, func(n *node) {
		n.machine.startError = errors.New(`exec: "serve": executable file not found in $PATH`)
		n.full(aTask("t1"))
		if s := n.is("t1", backingUp); !strings.Contains(s.GetMessage(), "executable file not found") {
			t.Errorf("message %q", s.GetMessage())
		}
		n.machine.mu.Lock()
		n.machine.startError = nil
		n.machine.mu.Unlock()
		n.is("t1", running)
	})
}

func TestQuickStartIsOneReport(t *testing.T) {
	onNode(t, func(n *node) {
		<-n.agent.Ready()
		n.pass(100 * time.Millisecond)
		n.full(aTask("t1"))
		n.is("t1", running)
		if n.boss.reported() != 1 {
			t.Errorf("%d reports", n.boss.reported())
		}
	})
}

func TestStateSinceNeverGoesBack(t *testing.T) {
	onNode(t, func(n *node) {
		<-n.agent.Ready()
		// As from before the clock was set back.
		future := time.Now().Add(time.Hour)
		was := &warrenv1.TaskStatus{TaskId: "t1", State: preparing, StateSince: timestamppb.New(future)}
		if err := n.agent.state.save(was, progress{}); err != nil {
			t.Fatal(err)
		}
		n.full(aTask("t1"))
		n.is("t1", running)
		n.machine.end("t1", 1)
		n.is("t1", backingUp)
		n.is("t1", running)
		last := future
		for _, r := range n.boss.reports {
			for _, s := range r.GetTasks() {
				if since := s.GetStateSince().AsTime(); since.Before(last) {
					t.Errorf("%v after %v", since, last)
				} else {
					last = since
				}
			}
		}
	})
}
