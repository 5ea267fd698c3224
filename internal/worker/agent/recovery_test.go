package agent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestRestartedAgentTakesContainersUpAgain(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withVolume(aTask("t1"), "db-data"))
		began := n.is("t1", running).GetStartedAt().AsTime()
		n.take()
		n.restart(n.boss.leave) // without a manager
		n.pass(time.Minute)
		if lines := n.take(); len(lines) != 0 {
			t.Errorf("did %q to a container that runs", lines)
		}
		n.boss.comeBack()
		n.boss.await(t, "a session", func() bool { return n.boss.out != nil })
		if s := n.is("t1", running); s.GetRestarts() != 0 || !s.GetStartedAt().AsTime().Equal(began) {
			t.Errorf("status %v", s)
		}
		if !slices.Equal(n.wires.live, []string{"t1"}) {
			t.Errorf("network kept for %v", n.wires.live)
		}
		// It is watched again.
		n.machine.end("t1", 9)
		if s := n.is("t1", backingUp); s.GetExitCode() != 9 {
			t.Errorf("status %v", s)
		}
	})
}

func TestEndWhileAgentWasAwayIsReportedAsItWas(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		var ended time.Time
		n.restart(func() {
			ended = time.Now()
			n.machine.end("t1", 42)
			n.pass(time.Hour)
		})
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		s := n.is("t1", running)
		if s.GetExitCode() != 42 || s.GetExitReason() != "exited with code 42" || !s.GetFinishedAt().AsTime().Equal(ended) {
			t.Errorf("status %v, ended %v", s, ended)
		}
	})
}

func TestContainerRemovedBehindOurBackIsMadeAgain(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.restart(func() {
			n.machine.mu.Lock()
			defer n.machine.mu.Unlock()
			clear(n.machine.boxes)
		})
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		if s := n.is("t1", running); s.ExitCode != nil || s.GetExitReason() != removedByOthers {
			t.Errorf("status %v", s)
		}
	})
}

func TestRebootStartsTasksAnew(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		n.full(aTask("t1"), withSecret(aTask("t2"), "pw"))
		n.is("t1", running)
		n.is("t2", running)
		n.take()
		n.restart(func() {
			n.machine.powerOff()
			n.bootID = "boot-2"
			n.boss.leave()
		})
		// The one without secrets needs no manager.
		n.soon("t1 runs", func() bool { return n.machine.running("t1") })
		n.pass(time.Minute)
		lines := n.take()
		for _, line := range []string{"delete t1", "detach t1", "wipe t1", "create t1", "start t1"} {
			if !slices.Contains(lines, line) {
				t.Errorf("%q is not among %q", line, lines)
			}
		}
		if n.machine.running("t2") || n.drawer.read(t, "t2/pw") != "" {
			t.Error("a secret outlived the reboot")
		}
		n.boss.mu.Lock()
		clear(n.boss.tasks)
		n.boss.mu.Unlock()
		if s := n.agent.tasks["t2"].status.Load(); s.GetState() != preparing || !strings.Contains(s.GetMessage(), "no manager answers") {
			t.Errorf("status of the waiting one: %v", s)
		}
		n.boss.comeBack()
		if s := n.is("t2", running); s.GetRestarts() != 1 || s.GetExitReason() != "the machine restarted" {
			t.Errorf("status %v", s)
		}
		if got := n.drawer.read(t, "t2/pw"); got != "s3cret" {
			t.Errorf("secret is %q", got)
		}
	})
}

// The storage guide restores a volume under a stopped worker with rm and tar.
func TestReplacedVolumeDirectoryRecreatesTheTask(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(withVolume(aTask("t1"), "db-data"), withVolume(aTask("t2"), "other"))
		n.is("t1", running)
		n.is("t2", running)
		n.take()
		n.restart(func() {
			path := filepath.Join(n.volumeRoot(), "db-data")
			if err := os.Rename(path, path+"-old"); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		})
		n.boss.await(t, "the event", func() bool { return len(n.boss.events) > 0 })
		e := n.boss.events[0]
		if e.GetReason() != "recreated" || e.GetKind() != "task" || e.GetId() != "t1" || !strings.Contains(e.GetMessage(), "db-data") {
			t.Errorf("event %v", e)
		}
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		n.is("t1", running)
		for _, line := range n.take() {
			if strings.Contains(line, "t2") {
				t.Errorf("the other task was touched: %s", line)
			}
		}
		// Once is enough.
		n.restart(func() {})
		n.pass(time.Minute)
		if n.count("delete t1") != 0 {
			t.Error("recreated again")
		}
	})
}

func TestStopGoesOnAfterRestart(t *testing.T) {
	onNode(t, func(n *node) {
		n.machine.deaf = true
		n.full(aTask("t1"))
		n.is("t1", running)
		begin := time.Now()
		n.full(unwanted(aTask("t1")))
		n.is("t1", stopping)
		n.pass(4 * time.Second)
		n.restart(n.boss.leave)
		n.soon("it is killed", func() bool { return !n.machine.running("t1") })
		if waited := time.Since(begin); waited < stopTimeout || waited > stopTimeout+time.Second {
			t.Errorf("killed after %v", waited)
		}
		if n.count("signal t1 terminated") != 1 {
			t.Error("SIGTERM was not sent once")
		}
	})
}

func TestOrphansGoOnlyAfterFullSet(t *testing.T) {
	onNode(t, func(n *node) {
		n.machine.mu.Lock()
		n.machine.boxes["stray"] = &box{running: true, ended: make(chan struct{})}
		n.machine.mu.Unlock()
		old := n.agent.logDir("gone")
		if err := os.MkdirAll(old, 0o700); err != nil {
			t.Fatal(err)
		}
		n.pass(time.Minute)
		n.boss.assign(t, &warrenv1.Assignments{Tasks: []*warrenv1.Task{aTask("t1")}})
		n.is("t1", running)
		n.boss.assign(t, &warrenv1.Assignments{Full: true, More: true})
		n.pass(time.Minute)
		if !n.machine.running("stray") {
			t.Error("removed before the set was known")
		}
		n.boss.assign(t, &warrenv1.Assignments{Full: true, Tasks: []*warrenv1.Task{aTask("t1")}})
		n.soon("the orphan is gone", func() bool { return n.count("delete stray") > 0 && !n.agent.assigned("stray") })
		n.soon("its log is gone", func() bool { _, err := os.Stat(old); return os.IsNotExist(err) })
		if !n.machine.running("t1") {
			t.Error("the assigned one was touched")
		}
	})
}

func TestHalfSentFullSetChangesNothing(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		n.boss.assign(t, &warrenv1.Assignments{Full: true, More: true})
		n.pass(time.Second)
		n.boss.leave()
		n.boss.comeBack()
		// A new session's set begins from nothing.
		n.boss.assign(t, &warrenv1.Assignments{Full: true, More: true, Tasks: []*warrenv1.Task{aTask("t2")}})
		n.boss.assign(t, &warrenv1.Assignments{Full: true, Tasks: []*warrenv1.Task{aTask("t1")}})
		n.is("t2", running)
		if !n.machine.running("t1") || n.count("delete t1") != 0 {
			t.Error("t1 was touched")
		}
	})
}

func TestDamagedStateIsPutAside(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"no database": func([]byte) []byte { return []byte(strings.Repeat("rubbish ", 4096)) },
		"pages overwritten": func(b []byte) []byte {
			copy(b[2*4096:], strings.Repeat("\xff", len(b)-2*4096))
			return b
		},
		"cut short": func(b []byte) []byte { return b[:3*4096] },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "worker.db")
			log := slog.New(slog.DiscardHandler)
			s, _, err := openState(dir, "boot-1", log)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.assign([]*warrenv1.Task{aTask("t1")}, nil), s.close()); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(content), 0o600); err != nil {
				t.Fatal(err)
			}
			s, _, err = openState(dir, "boot-1", log)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			if _, err := os.Stat(path + ".damaged"); err != nil {
				t.Error(err)
			}
			if tasks, _, err := s.assigned(); err != nil || len(tasks) != 0 {
				t.Errorf("tasks %v, %v", tasks, err)
			}
		})
	}
}

func TestSecondWorkerOnTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, _, err := openState(dir, "boot-1", slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, _, err := openState(dir, "boot-1", slog.Default()); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("error %v", err)
	}
}

func TestProgressEndsWithTheBoot(t *testing.T) {
	dir := t.TempDir()
	status := &warrenv1.TaskStatus{TaskId: "t1", State: running}
	for i, boot := range []string{"boot-1", "boot-1", "boot-2"} {
		s, rebooted, err := openState(dir, boot, slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		if rebooted != (i == 2) {
			t.Errorf("start %d: rebooted %v", i, rebooted)
		}
		st, p, err := s.record("t1")
		if err != nil || p.Running != (i == 1) || (i > 0 && st.GetState() != running) {
			t.Errorf("start %d: %v, %v, %v", i, st, p, err)
		}
		if err := s.save(status, progress{Running: true}); err != nil {
			t.Fatal(err)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoSecretInTheWorkersState(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("canary-7d1f")
		n.full(withSecret(aTask("t1"), "pw"))
		n.is("t1", running)
		n.stop()
		content, err := os.ReadFile(filepath.Join(n.dataDir, "worker", "worker.db"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), "secret-pw") || strings.Contains(string(content), "canary-7d1f") {
			t.Error("the state must know which secret there is, and not its value")
		}
		n.begin()
	})
}
