//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// unmountVolumes ends what a node leaves mounted on purpose, and lets its
// directories be removed.
func (n *node) unmountVolumes() {
	n.t.Cleanup(func() {
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			n.t.Error(err)
		}
		for line := range strings.Lines(string(mounts)) {
			if at := strings.Fields(line)[1]; strings.HasPrefix(at, n.dir+"/") {
				_ = syscall.Unmount(at, syscall.MNT_DETACH)
			}
		}
		_ = exec.Command("chattr", "-R", "-i", filepath.Join(n.lib(), "volumes")).Run()
	})
}

func TestALimitHoldsForTheContainerAndGrowsUnderIt(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.unmountVolumes()
	n.run("volume", "create", "data", "--size", "400MB")
	n.run("service", "create", "app", "--image", "busybox", "--volume", "data:/data", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	if got := n.run("exec", "app-task-1", "--", "ls", "-A", "/data"); got != "" {
		t.Errorf("a new volume has %q", got)
	}
	fill := "dd if=/dev/zero of=/data/big bs=1M count=500"
	if said := n.refused(1, "exec", "app-task-1", "--", "sh", "-c", fill); !strings.Contains(said, "No space left") {
		t.Errorf("the writer was told: %s", said)
	}
	n.eventually("its size is known", func() error {
		if said := n.run("volume", "inspect", "data"); !strings.Contains(said, "Limit: 400 MB") || strings.Contains(said, "not measured") {
			return fmt.Errorf("inspect:\n%s", said)
		}
		if events := n.run("events"); !strings.Contains(events, "volume data  nearly-full") {
			return fmt.Errorf("events:\n%s", events)
		}
		return nil
	})
	n.run("volume", "resize", "data", "--size", "800MB")
	n.run("exec", "app-task-1", "--", "sh", "-c", fill)
	if said := n.refused(1, "volume", "resize", "data", "--size", "900TB"); !strings.Contains(said, "keeps its limit of 800MB") || !strings.Contains(said, "no room") {
		t.Errorf("more than the disk has: %s", said)
	}
	if said := n.refused(1, "volume", "create", "huge", "--size", "900TB"); !strings.Contains(said, "no room") {
		t.Errorf("more than the disk has: %s", said)
	}
	n.refused(4, "volume", "inspect", "huge")
	// Killed and started again, with the container running on.
	n.end(syscall.SIGKILL)
	n.start()
	n.run("exec", "app-task-1", "--", "sh", "-c", "rm /data/big && echo kept > /data/row")

	// The guide's backup and restore by hand: it is mounted while the node is up.
	archive := filepath.Join(n.dir, "backup.tar.gz")
	path := filepath.Join(n.lib(), "volumes/data")
	if out, err := exec.Command("tar", "czf", archive, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.run("service", "stop", "app")
	n.end(syscall.SIGTERM)
	_ = exec.Command("rm", "-rf", path).Run() // empties it; the mount point stays
	if out, err := exec.Command("tar", "xzf", archive, "-C", "/").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.start()
	n.run("service", "start", "app")
	n.running("app", 1)
	if got := n.run("exec", "app-task-1", "--", "cat", "/data/row"); got != "kept\n" {
		t.Errorf("restored: %q", got)
	}
	n.run("volume", "delete", "data", "--force", "--purge")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	n.run("service", "delete", "app")
}

func TestDeletedVolumesComeBack(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--volume", "data:/data", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	n.run("exec", "app-task-1", "--", "sh", "-c", "echo old > /data/row")
	n.run("volume", "delete", "data", "--force")
	if said := n.run("volume", "trash"); !strings.Contains(said, "data") || !strings.Contains(said, "in 23h") {
		t.Errorf("the trash:\n%s", said)
	}
	if said := n.refused(1, "service", "start", "app"); !strings.Contains(said, "warren volume undelete data") {
		t.Errorf("the refusal: %s", said)
	}
	n.run("volume", "create", "data")
	if said := n.refused(5, "volume", "undelete", "data"); !strings.Contains(said, "--as") {
		t.Errorf("the refusal: %s", said)
	}
	n.run("volume", "delete", "data", "--purge", "--force")
	n.end(syscall.SIGKILL)
	n.start()
	n.run("volume", "undelete", "data")
	n.run("service", "start", "app")
	n.running("app", 1)
	if got := n.run("exec", "app-task-1", "--", "cat", "/data/row"); got != "old\n" {
		t.Errorf("it came back with %q", got)
	}
	n.run("cluster", "update", "--trash-time", "1ms")
	n.run("volume", "delete", "data", "--force")
	n.eventually("the trash is empty", func() error {
		if left := n.run("volume", "trash", "-q"); left != "" {
			return fmt.Errorf("in the trash: %s", left)
		}
		return nil
	})
	if left, _ := filepath.Glob(filepath.Join(n.lib(), "volumes/.trash/*")); len(left) != 0 {
		t.Errorf("on the disk: %v", left)
	}
}

func TestSlotsAndPathsOfTheNode(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	logs := filepath.Join(n.dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	n.run("volume", "create", "app-data-1")
	n.run("service", "create", "app", "--replicas", "2", "--image", "busybox", "--volume", "app-data-{{.Slot}}:/data",
		"--volume", "type=bind,source="+logs+",target=/host/logs,readonly", "--stop-timeout", "1s", "--",
		"sh", "-c", "hostname > /data/row; sleep 1000")
	n.running("app", 2)
	for _, slot := range []string{"1", "2"} {
		row, err := os.ReadFile(filepath.Join(n.lib(), "volumes/app-data-"+slot, "row"))
		if err != nil || string(row) != "app-task-"+slot+"\n" {
			t.Errorf("slot %s: %q, %v", slot, row, err)
		}
	}
	if said := n.refused(1, "exec", "app-task-1", "--", "touch", "/host/logs/x"); !strings.Contains(said, "Read-only") {
		t.Errorf("a read-only path was written to: %s", said)
	}
	n.run("service", "scale", "app", "1")
	n.eventually("the second's volume is unused, and there", func() error {
		if left := n.run("volume", "list", "--unused"); !strings.Contains(left, "app-data-2") || strings.Contains(left, "app-data-1") {
			return fmt.Errorf("unused:\n%s", left)
		}
		return nil
	})
	inspect := n.run("volume", "inspect", "app-data-2")
	if !strings.Contains(inspect, "Last Mounted By: app-task-2") {
		t.Errorf("inspect:\n%s", inspect)
	}
	n.refused(2, "service", "create", "bad", "--image", "busybox", "--volume", "type=bind,source=/var/lib/warren/keys,target=/keys")
	n.run("service", "create", "own", "--image", "busybox", "--volume", "type=bind,source="+n.lib()+"/keys,target=/keys", "--", "sleep", "1000")
	n.eventually("Warren's own directory is refused", func() error {
		if said := n.run("service", "ps", "own"); !strings.Contains(said, "inside Warren's own directory") {
			return fmt.Errorf("ps:\n%s", said)
		}
		return nil
	})
}
