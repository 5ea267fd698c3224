//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// reads waits until a file of a task's container is as wanted.
func (n *node) reads(task, file, want string) {
	n.t.Helper()
	n.eventually(task+" reads "+want, func() error {
		if got, said, code := n.try("", "exec", task, "--", "cat", "/run/secrets/"+file); code != 0 || got != want {
			return fmt.Errorf("%s reads %q, %s", task, got, said)
		}
		return nil
	})
}

func TestASecretIsRotatedAsTheGuideSays(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("secret", "create", "db-password", "--from-literal", "password=old", "--label", "draft", "--expires", "90d")
	n.run("service", "create", "postgres", "--image", "busybox", "--secret", "db-password", "--stop-timeout", "1s", "--update-monitor", "300ms", "--", "sleep", "1000")
	before := n.running("postgres", 1)[0]

	n.run("secret", "update", "db-password", "--from-literal", "password=newPassword", "--label-add", "owner=ann", "--label-rm", "draft")
	n.reads("postgres-task-1", "db-password", "old")
	if after := n.running("postgres", 1)[0]; after.ID != before.ID {
		t.Error("the task was replaced, though nobody asked for it")
	}
	n.run("service", "update", "postgres", "--force-recreate")
	n.reads("postgres-task-1", "db-password", "newPassword")

	said := n.run("secret", "rollback", "db-password", "--to", "1")
	if !strings.Contains(said, "version 3 has the value of version 1") {
		t.Error(said)
	}
	inspect := n.run("secret", "inspect", "db-password")
	for _, want := range []string{"Version: 3, of which 3 are kept", "postgres (service)", "postgres-task-1 has version 2", "owner=ann", "Expires: in 89d"} {
		if !strings.Contains(inspect, want) {
			t.Errorf("inspect does not say %q:\n%s", want, inspect)
		}
	}
	if wide := n.run("secret", "list", "-o", "wide"); strings.Contains(wide, "draft") || !strings.Contains(wide, "in 89d") {
		t.Error(wide)
	}
	n.eventually("the task before has stopped", func() error {
		if got := n.run("secret", "inspect", "db-password"); strings.Contains(got, "has version 1") {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	if said := n.run("secret", "prune", "db-password", "--keep", "1"); !strings.Contains(said, "in use: version 2 by postgres-task-1 (task)") || !strings.Contains(said, "1 versions dropped, 2 left") {
		t.Error(said)
	}
	if said := n.refused(4, "secret", "rollback", "db-password", "--to", "1"); !strings.Contains(said, "it was pruned") {
		t.Error(said)
	}
	if versions := n.run("secret", "versions", "db-password", "-o", "json"); strings.Contains(versions, "newPassword") || !strings.Contains(versions, `"copy_of": 1`) {
		t.Error(versions)
	}
}

// A container is told of a new version as its service wants, and one version
// that is no good takes no task away.
func TestWhatANewVersionDoesIsTheServicesChoice(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.feed("one", "secret", "create", "key", "--from-stdin")
	serve := func(name, options string, args ...string) {
		n.run(append([]string{"service", "create", name, "--image", "busybox", "--stop-timeout", "1s", "--update-monitor", "300ms", "--secret", "source=key" + options, "--"}, args...)...)
	}
	serve("live", ",target=pg/key,uid=999,gid=998,mode=0400,on-change=update", "sleep", "1000")
	serve("told", ",on-change=signal:HUP", "sh", "-c", `trap 'echo told of $(cat /run/secrets/key)' HUP; while :; do sleep 0.1; done`)
	serve("again", ",on-change=restart", "sh", "-c", `[ "$(cat /run/secrets/key)" != bad ] && sleep 1000`)
	n.run("service", "scale", "again", "2")
	for _, name := range []string{"live", "told", "again"} {
		n.run("service", "wait", name, "--timeout", "60s")
	}
	if got := n.run("exec", "live-task-1", "--", "stat", "-c", "%a %u:%g", "/run/secrets/pg/key"); got != "400 999:998\n" {
		t.Errorf("the file has %q", got)
	}
	live := n.running("live", 1)[0]

	n.feed("bad", "secret", "update", "key", "--from-stdin")
	n.reads("live-task-1", "pg/key", "bad")
	n.eventually("the update is rolled back", func() error {
		if got := n.run("service", "inspect", "again"); !strings.Contains(got, "Update: rolled-back") || !strings.Contains(got, "keep version 1 of secret key") {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	n.running("again", 2)
	n.reads("again-task-1", "key", "one")
	if ps := n.run("service", "ps", "again"); strings.Contains(ps, "again-task-2   2") {
		t.Errorf("the second task was touched:\n%s", ps)
	}

	// The program may be killed at any time: what follows is done in the end.
	n.end(syscall.SIGKILL)
	n.start()
	n.run("secret", "update", "key", "--from-literal", "a=three", "--from-literal", "b=canary-of-the-third-version")
	n.reads("live-task-1", "pg/key/b", "canary-of-the-third-version")
	n.reads("again-task-1", "key/a", "three")
	n.reads("again-task-2", "key/a", "three")
	n.eventually("it was told each time", func() error {
		if got := n.run("service", "logs", "told"); !strings.Contains(got, "told of bad") {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	if after := n.running("live", 1)[0]; after.ID != live.ID || after.Restarts != 0 {
		t.Error("the task that follows was replaced or restarted")
	}
	n.scanForCanary("canary-of-the-third-version")
}

func TestSecretsVanishOnceTheTaskIsHealthy(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.feed("value", "secret", "create", "one", "--from-stdin")
	n.run("service", "create", "app", "--image", "busybox", "--secret", "one", "--unmount-secrets-on", "healthy",
		"--health-cmd", "test -e /tmp/read", "--health-interval", "200ms", "--stop-timeout", "1s",
		"--", "sh", "-c", "cat /run/secrets/one > /tmp/read; while [ ! -e /tmp/end ]; do sleep 0.1; done")
	n.running("app", 1)
	gone := func() error {
		if got := n.run("secret", "inspect", "one"); !strings.Contains(got, "app-task-1 has none now") {
			return fmt.Errorf("%s", got)
		}
		if got := n.run("exec", "app-task-1", "--", "ls", "-A", "/run/secrets"); got != "" {
			return fmt.Errorf("it still has %q", got)
		}
		return nil
	}
	n.eventually("the file is gone", gone)
	n.run("exec", "app-task-1", "--", "touch", "/tmp/end")
	n.eventually("it was restarted", func() error {
		if task := n.running("app", 1)[0]; task.Restarts != 1 {
			return fmt.Errorf("%d restarts", task.Restarts)
		}
		return nil
	})
	n.eventually("the file is gone again", gone)
	if got := n.run("exec", "app-task-1", "--", "cat", "/tmp/read"); got != "value" {
		t.Errorf("after the restart it read %q", got)
	}
}
