//go:build e2e

package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/worker/runtime"
)

func TestTheContainerIsConfined(t *testing.T) {
	w := world{begin(t), t}
	for what, one := range map[string]struct{ script, want string }{
		"seccomp filters":          {"grep Seccomp: /proc/self/status | cut -f2", "2\n"},
		"no new privileges":        {"grep NoNewPrivs /proc/self/status | cut -f2", "1\n"},
		"Docker's capabilities":    {"grep CapBnd /proc/self/status | cut -f2", "00000000a80425fb\n"},
		"masked path":              {"cat /proc/timer_list | wc -c", "0\n"},
		"read-only path":           {"echo 1 2>&1 >/proc/sys/vm/swappiness || echo refused", "sh: can't create /proc/sys/vm/swappiness: Read-only file system\nrefused\n"},
		"its own process numbers":  {"echo $$", "1\n"},
		"its own name":             {"hostname; echo $HOSTNAME", "box\nbox\n"},
		"shared memory":            {"stat -f -c %T /dev/shm", "tmpfs\n"},
		"unshare is not permitted": {"busybox unshare -U true 2>/dev/null || echo refused", "refused\n"},
		"its own cgroup":           {"grep -c /warren/box /proc/1/cgroup >/dev/null && echo own", "own\n"},
		"limited files":            {"ulimit -Sn", "1024\n"},
	} {
		t.Run(what, func(t *testing.T) {
			if _, output := w.run(fresh(sh(w.Runtime, "box", one.script))); output != one.want {
				t.Errorf("printed %q, want %q", output, one.want)
			}
		})
	}
}

// fresh gives a container a log of its own.
func fresh(c runtime.Container) runtime.Container {
	os.Remove(c.LogPath)
	return c
}

func TestUsersAreTheImagesOwn(t *testing.T) {
	w := world{begin(t), t}
	for user, want := range map[string]string{
		"":        "0 0 0\n",
		"app":     "1000 1000 1000 2000\n",
		"1000":    "1000 1000 1000 2000\n",
		"1000:50": "1000 50 50\n",
		"4321":    "4321 0 0\n",
	} {
		t.Run("user "+user, func(t *testing.T) {
			c := fresh(sh(w.Runtime, "user", "echo $(id -u) $(id -g) $(id -G)"))
			c.User = user
			if _, output := w.run(c); output != want {
				t.Errorf("printed %q, want %q", output, want)
			}
		})
	}
	c := sh(w.Runtime, "user", "true")
	c.User = "stranger"
	if err := w.Create(t.Context(), c); err == nil || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("creating for an unknown user: %v", err)
	}
}

func TestANonRootUserHasNoCapabilities(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "user", "grep CapEff /proc/self/status | cut -f2; touch /etc/x 2>/dev/null || echo refused")
	c.User = "app"
	if _, output := w.run(c); output != "0000000000000000\nrefused\n" {
		t.Errorf("printed %q", output)
	}
}

func TestMountsAreReadOnlyWhereAskedAlsoBelow(t *testing.T) {
	w := world{begin(t), t}
	dir := t.TempDir()
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", below, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(below, unix.MNT_DETACH) })
	c := sh(w.Runtime, "mounts", `
		touch /rw/a /rw/below/a && echo written
		for f in /ro/b /ro/below/b; do touch $f 2>/dev/null || echo $f refused; done
		mount -o remount,rw /ro 2>/dev/null || echo remount refused`)
	c.Mounts = []runtime.Mount{{Source: dir, Target: "/rw"}, {Source: dir, Target: "/ro", ReadOnly: true}}
	if _, output := w.run(c); output != "written\n/ro/b refused\n/ro/below/b refused\nremount refused\n" {
		t.Errorf("printed %q", output)
	}
}

func TestEnvironmentAndArgumentsAreMergedAsDockerDoes(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "env", "")
	c.Args = []string{"sh", "-c", `echo "$PATH|$A|$B"`}
	c.Env = []string{"A=1", "B=x=y", "PATH=/bin"}
	if _, output := w.run(c); output != "/bin|1|x=y\n" {
		t.Errorf("printed %q", output)
	}
}

func TestTheHostsNetworkAndOnesOwn(t *testing.T) {
	w := world{begin(t), t}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if _, output := w.run(sh(w.Runtime, "hostnet", "readlink /proc/self/ns/net")); output != own+"\n" {
		t.Errorf("in the host's network it printed %q, want %q", output, own)
	}
	c := sh(w.Runtime, "ownnet", "readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
	c.NetNS = emptyNetwork(t)
	_, output := w.run(c)
	if strings.HasPrefix(output, own) || !strings.HasSuffix(output, "\n0\n") {
		t.Errorf("in its own network it printed %q", output)
	}
}
