package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestSecretsArriveSealedAndAreMountedReadOnly(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret\x00\n")
		n.full(withSecret(aTask("t1"), "pw"))
		n.is("t1", running)
		if got := n.drawer.read(t, "t1/pw"); got != "s3cret\x00\n" {
			t.Errorf("secret is %q", got)
		}
		mounts := n.machine.asked("t1").Mounts
		if m := mounts[len(mounts)-1]; m.Target != "/run/secrets" || !m.ReadOnly || !strings.HasSuffix(m.Source, "/t1") {
			t.Errorf("mounted %+v", m)
		}
	})
}

func TestTaskWithoutSecretsHasNoSecretMount(t *testing.T) {
	onNode(t, func(n *node) {
		n.full(aTask("t1"))
		n.is("t1", running)
		for _, m := range n.machine.asked("t1").Mounts {
			if m.Target == secretsPath {
				t.Errorf("mounted %+v", m)
			}
		}
	})
}

func TestDroppedPinLeavesTheRunningTaskAtOnce(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		n.full(withSecret(aTask("t1"), "pw"))
		n.is("t1", running)
		n.take()
		dropped := time.Now()
		n.full(aTask("t1"))
		n.soon("the file is gone", func() bool { return n.drawer.read(t, "t1/pw") == "" })
		if waited := time.Since(dropped); waited > time.Second {
			t.Errorf("after %v", waited)
		}
		if lines := n.take(); !slices.Equal(lines, []string{"remove t1 pw"}) {
			t.Errorf("did %q", lines)
		}
		// The container has no more of it after a crash either.
		n.machine.end("t1", 1)
		n.boss.await(t, "the restart", func() bool { return n.boss.tasks["t1"].GetRestarts() == 1 })
		if n.drawer.read(t, "t1/pw") != "" {
			t.Error("it came back")
		}
	})
}

func TestPinDroppedWhileTaskWaitsToRestart(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		n.full(withSecret(aTask("t1"), "pw"))
		n.is("t1", running)
		n.machine.end("t1", 1)
		n.is("t1", backingUp)
		n.full(aTask("t1"))
		n.is("t1", running)
		if n.drawer.read(t, "t1/pw") != "" {
			t.Error("the restarted task has a secret that was taken from it")
		}
	})
}

func TestSecretSealedForAnotherTaskIsRefused(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-other"] = []byte("s3cret")
		n.full(withSecret(aTask("t1"), "pw"))
		if s := n.is("t1", backingUp); !strings.Contains(s.GetMessage(), "pw") {
			t.Errorf("message %q", s.GetMessage())
		}
		if n.drawer.read(t, "t1/pw") != "" || n.count("start t1") != 0 {
			t.Error("started with a foreign secret")
		}
	})
}

func TestSecretWithOtherKeysThanPinnedIsRefused(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		task := withSecret(aTask("t1"), "pw")
		task.Secrets[0].Keys = []string{"user", "password"}
		n.full(task)
		if s := n.is("t1", backingUp); !strings.Contains(s.GetMessage(), "keys") || !strings.Contains(s.GetMessage(), "pw") {
			t.Errorf("message %q", s.GetMessage())
		}
		if n.drawer.read(t, "t1/pw") != "" || n.count("start t1") != 0 {
			t.Error("started with half a secret")
		}
	})
}

func TestNoSecretIsFetchedForAMissingImage(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.secrets["secret-pw"] = []byte("s3cret")
		task := withSecret(aTask("t1"), "pw")
		task.Container.Image = "missing:1"
		n.full(task)
		n.is("t1", backingUp)
		if n.drawer.read(t, "t1/pw") != "" {
			t.Error("the secret is here")
		}
	})
}

func TestRegistryPasswordIsOpenedWhenAsked(t *testing.T) {
	onNode(t, func(n *node) {
		n.boss.registry = &warrenv1.Registry{Host: "registry.example", Username: "me", SecretId: "secret-registry", PlainHttp: true, CaCertificate: []byte("PEM")}
		task := aTask("t1")
		task.Container.Image = "registry.example/app:2"
		n.full(task)
		n.is("t1", backingUp)
		n.machine.mu.Lock()
		access := n.machine.accesses[0]
		n.machine.mu.Unlock()
		if access.Username != "me" || !access.PlainHTTP || string(access.CACertificate) != "PEM" {
			t.Errorf("access %+v", access)
		}
		if password, err := access.Password(); err != nil || password != "pull-me" {
			t.Errorf("password %q, %v", password, err)
		}
	})
}
