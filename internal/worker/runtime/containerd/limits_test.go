//go:build e2e

package containerd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/volume"
)

// greedy takes more memory than it is given.
const greedy = "exec tail /dev/zero"

func TestAContainerOverItsMemoryLimitIsKilledAndSaysSo(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "greedy", greedy)
	c.Limits.Memory = 32_000_000
	start(t, w.Runtime, c)
	exit, err := w.Wait(t.Context(), c.ID)
	if err != nil || exit.Code != 137 || !exit.OutOfMemory {
		t.Errorf("exit %+v, %v", exit, err)
	}
	// It is remembered like the code.
	if status, err := w.Status(t.Context(), c.ID); err != nil || status.Exit == nil || !status.Exit.OutOfMemory {
		t.Errorf("status %+v, %v", status, err)
	}
	c = sh(w.Runtime, "modest", "kill -9 $$")
	c.Limits.Memory = 32_000_000
	start(t, w.Runtime, c)
	if exit, err := w.Wait(t.Context(), c.ID); err != nil || exit.OutOfMemory {
		t.Errorf("one that somebody killed: exit %+v, %v", exit, err)
	}
}

func TestOutOfMemoryWhileNobodyWatchedIsStillNamed(t *testing.T) {
	dir := directory(t)
	r := open(t, dir)
	c := sh(r, "greedy", "sleep 2; "+greedy)
	c.Limits.Memory = 32_000_000
	start(t, r, c)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was killed", func() bool { return ranOutOfMemory("greedy", 137) })
	r = open(t, dir)
	defer end(t, r)
	if exit, err := r.Wait(t.Context(), c.ID); err != nil || exit.Code != 137 || !exit.OutOfMemory {
		t.Errorf("exit %+v, %v", exit, err)
	}
}

func TestLimitsHold(t *testing.T) {
	w := world{begin(t), t}
	t.Run("processes", func(t *testing.T) {
		c := sh(w.Runtime, "many", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done 2>&1; wait")
		c.Limits.Pids = 5
		if _, output := w.run(c); !strings.Contains(output, "can't fork") {
			t.Errorf("printed %q", output)
		}
	})
	t.Run("CPU", func(t *testing.T) {
		c := sh(w.Runtime, "busy", "while :; do :; done")
		c.Limits.CPUMillis = 100
		start(t, w.Runtime, c)
		began := time.Now()
		var used time.Duration
		eventually(t, "it ran for a while", func() bool {
			u, err := w.Usage(t.Context(), c.ID)
			used = u.CPU
			return err == nil && time.Since(began) > 2*time.Second
		})
		if share := used.Seconds() / time.Since(began).Seconds(); share > 0.15 || share == 0 {
			t.Errorf("a limit of 0.1 CPUs let it use %.2f", share)
		}
	})
	t.Run("writing the root", func(t *testing.T) {
		c := sh(w.Runtime, "frozen", "(echo x >/x) 2>/dev/null || echo refused; echo y >/data/y && cat /data/y")
		c.ReadOnlyRoot = true
		c.Mounts = []runtime.Mount{{Source: t.TempDir(), Target: "/data"}}
		if _, output := w.run(c); output != "refused\ny\n" {
			t.Errorf("printed %q", output)
		}
	})
}

func TestIOLimitSlowsTheDeviceDown(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "writer", "time -p dd if=/dev/zero of=/data/x bs=1M count=8 oflag=direct 2>&1 | grep real")
	dir := t.TempDir()
	major, minor, err := volume.Device(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Mounts = []runtime.Mount{{Source: dir, Target: "/data"}}
	c.Limits.IO = []runtime.IOLimit{{Major: major, Minor: minor, BytesPerSecond: 4 << 20}}
	began := time.Now()
	if code, output := w.run(c); code != 0 {
		t.Fatalf("code %d: %s", code, output)
	}
	if took := time.Since(began); took < 1500*time.Millisecond || took > 10*time.Second {
		t.Errorf("8 MiB at 4 MiB/s took %v", took)
	}
}

func TestCapabilitiesAreTakenAndGiven(t *testing.T) {
	w := world{begin(t), t}
	for what, one := range map[string]struct {
		add, drop []string
		want      string
	}{
		"none":             {nil, []string{"ALL"}, "0000000000000000\n"},
		"one of them":      {[]string{"CAP_CHOWN"}, []string{"ALL"}, "0000000000000001\n"},
		"one more":         {[]string{"CAP_NET_ADMIN"}, nil, "00000000a80435fb\n"},
		"one less":         {nil, []string{"CAP_CHOWN"}, "00000000a80425fa\n"},
		"the other way":    {[]string{"CAP_NET_ADMIN"}, []string{"CAP_CHOWN"}, "00000000a80435fa\n"},
		"none, by default": {nil, nil, "00000000a80425fb\n"},
	} {
		t.Run(what, func(t *testing.T) {
			c := fresh(sh(w.Runtime, "box", "grep CapEff /proc/self/status | cut -f2"))
			c.AddCapabilities, c.DropCapabilities = one.add, one.drop
			if _, output := w.run(c); output != one.want {
				t.Errorf("printed %q, want %q", output, one.want)
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		c := fresh(sh(w.Runtime, "box", "grep CapEff /proc/self/status | cut -f2"))
		c.AddCapabilities, c.DropCapabilities = []string{"ALL"}, []string{"CAP_CHOWN"}
		if code, output := w.run(c); code != 0 || !strings.HasSuffix(output, "fffe\n") {
			t.Errorf("code %d, printed %q", code, output)
		}
	})
}

func TestUsageIsMeasured(t *testing.T) {
	w := world{begin(t), t}
	c := sh(w.Runtime, "user", "dd if=/dev/zero of=/data/x bs=1M count=16 oflag=direct 2>/dev/null; sleep 1000 & sleep 1000 & i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo ready; wait")
	c.Mounts = []runtime.Mount{{Source: t.TempDir(), Target: "/data"}}
	start(t, w.Runtime, c)
	var u runtime.Usage
	eventually(t, "it has used what it uses", func() bool {
		var err error
		u, err = w.Usage(t.Context(), c.ID)
		return err == nil && u.Processes == 3 && u.CPU > 50*time.Millisecond && u.Written >= 16<<20
	})
	if u.Memory == 0 || u.Memory > 64<<20 || u.Written > 32<<20 {
		t.Errorf("usage %+v", u)
	}
	if _, err := w.Usage(t.Context(), "nobody"); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("an unknown container: %v", err)
	}
}

func TestACommandThatHangsIsKilledWithWhatItStarted(t *testing.T) {
	w := idle(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := w.Exec(ctx, "idle", runtime.Exec{Args: []string{"sh", "-c", "sleep 12345 | sleep 12345; true"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("exec says %v", err)
	}
	eventually(t, "nothing of it runs", func() bool {
		_, processes, _ := w.exec(runtime.Exec{Args: []string{"ps"}})
		return !strings.Contains(processes, "12345")
	})
}
