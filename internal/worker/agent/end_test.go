package agent

import (
	"slices"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const finished = warrenv1.TaskState_TASK_STATE_FINISHED

func withPolicy(t *testing.T, task *warrenv1.Task, policy string) *warrenv1.Task {
	t.Helper()
	var err error
	if task.Container.Restart, err = spec.ParseRestartPolicy(policy); err != nil {
		t.Fatal(err)
	}
	return task
}

func TestRestartPolicyDecidesWhatFollowsAnEnd(t *testing.T) {
	for _, c := range []struct {
		policy string
		code   int
		want   warrenv1.TaskState
	}{
		{"any", 0, running}, {"any", 1, running},
		{"on-failure", 0, finished}, {"on-failure", 1, running}, {"on-failure", 137, running},
		{"none", 0, finished}, {"none", 1, finished},
	} {
		onNode(t, func(n *node) {
			n.full(withPolicy(t, aTask("t1"), c.policy))
			n.is("t1", running)
			n.machine.end("t1", c.code)
			n.boss.await(t, "its end", func() bool { return n.boss.tasks["t1"].ExitCode != nil })
			s := n.is("t1", c.want)
			if c.want == finished && s.GetMessage() != endReason(runtime.Exit{Code: c.code}, aTask("t1"))+"; not restarted, by its restart policy "+c.policy {
				t.Errorf("%s, code %d: message %q", c.policy, c.code, s.GetMessage())
			}
		})
	}
}

func TestRestartsInARowAreCounted(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withPolicy(t, aTask("t1"), "any:2"))
		crash := func(restarts uint32) {
			t.Helper()
			n.boss.await(t, "its start", func() bool {
				s := n.boss.tasks["t1"]
				return s.GetState() == running && s.GetRestarts() == restarts
			})
			n.machine.end("t1", 1)
		}
		crash(0)
		crash(1)
		n.boss.await(t, "its start", func() bool { return n.boss.tasks["t1"].GetRestarts() == 2 })
		n.pass(ranWell) // what ran well is given all its tries again
		crash(2)
		crash(3)
		crash(4)
		n.is("t1", finished)
		n.pass(time.Hour)
		if s := n.is("t1", finished); s.GetRestarts() != 4 {
			t.Errorf("status %v", s)
		}
	})
}

func TestFinishedTaskGivesBackWhatItHeldAndStaysFinished(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		task := withPolicy(t, withSecret(withVolume(aTask("t1"), "db-data"), "pw"), "none")
		n.full(task)
		n.is("t1", running)
		n.take()
		n.machine.end("t1", 0)
		n.is("t1", finished)
		n.soon("the release", func() bool { return n.count("wipe t1") == 1 })
		if done := n.take(); !slices.Contains(done, "delete t1") || !slices.Contains(done, "detach t1") {
			t.Errorf("done: %v", done)
		}
		n.restart(func() { n.bootID = "boot-2" })
		n.boss.await(t, "its report", func() bool { return n.boss.sessions == 2 })
		n.pass(time.Hour)
		if s := n.is("t1", finished); s.GetExitCode() != 0 || n.count("start t1") != 0 {
			t.Errorf("after a reboot: %v, done %v", s, n.take())
		}
		n.full(unwanted(task))
		n.is("t1", stopped)
	})
}

func TestContainerThatRanOutOfMemoryIsNamed(t *testing.T) {
	onNode(t, func(n *node) {
		task := aTask("t1")
		task.Container.Resources = &warrenv1.Resources{MemoryLimitBytes: 64_000_000}
		n.full(task)
		n.is("t1", running)
		n.machine.endOutOfMemory("t1")
		if s := n.is("t1", backingUp); s.GetExitReason() != "killed: out of memory (limit 64 MB)" || s.GetExitCode() != 137 {
			t.Errorf("status %v", s)
		}
	})
}

func TestLimitsReachTheContainer(t *testing.T) {
	onNode(t, func(n *node) {
		task := withVolume(aTask("t1"), "db-data")
		task.Container.Resources = &warrenv1.Resources{MemoryLimitBytes: 64_000_000, CpuLimitMillis: 500, PidsLimit: 10}
		task.Container.ReadOnly = true
		task.Container.CapAdd, task.Container.CapDrop = []string{"CAP_NET_ADMIN"}, []string{"ALL"}
		task.Container.Volumes = []*warrenv1.VolumeMount{{Volume: "db-data", Path: "/data", IoLimit: &warrenv1.IoLimit{BytesPerSecond: 1e6}}}
		n.full(task)
		n.is("t1", running)
		c := n.machine.asked("t1")
		if c.Limits.Memory != 64_000_000 || c.Limits.CPUMillis != 500 || c.Limits.Pids != 10 || !c.ReadOnlyRoot {
			t.Errorf("container %+v", c)
		}
		if !slices.Equal(c.AddCapabilities, []string{"CAP_NET_ADMIN"}) || !slices.Equal(c.DropCapabilities, []string{"ALL"}) {
			t.Errorf("container %+v", c)
		}
		if len(c.Limits.IO) != 1 || c.Limits.IO[0].BytesPerSecond != 1e6 || c.Limits.IO[0].OperationsPerSecond != 0 {
			t.Errorf("I/O limits %+v", c.Limits.IO)
		}
	})
}

func TestTighterLimitOfTwoVolumesOnOneDeviceHolds(t *testing.T) {
	c := &warrenv1.ContainerSpec{Volumes: []*warrenv1.VolumeMount{
		{Volume: "a", Path: "/a", IoLimit: &warrenv1.IoLimit{BytesPerSecond: 100}},
		{Volume: "b", Path: "/b", IoLimit: &warrenv1.IoLimit{BytesPerSecond: 50, OperationsPerSecond: 7}},
		{Volume: "c", Path: "/c"},
	}}
	dir := t.TempDir()
	var limits ioLimits
	for _, m := range c.GetVolumes() {
		if err := limits.add(&warrenv1.VolumePin{Volume: m.GetVolume(), Path: m.GetPath()}, dir, c); err != nil {
			t.Fatal(err)
		}
	}
	if len(limits) != 1 || limits[0].BytesPerSecond != 50 || limits[0].OperationsPerSecond != 7 {
		t.Errorf("limits %+v", limits)
	}
}
