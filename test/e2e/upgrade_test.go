//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// nextRelease builds a Warren that stands for the next release: of another
// level, and with another format of the database.
func nextRelease(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "warren")
	build := exec.Command("go", "build", "-tags", "embed_helpers,next",
		"-ldflags", "-s -w -X github.com/cuemby/warren/internal/version.Version=next", "-o", path, "../../cmd/warren")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestUpgrade goes from one release to the next with two programs: managers
// first, then workers, with containers that run on all the time, and back.
func TestUpgrade(t *testing.T) {
	next := nextRelease(t)
	f := newFleet(t)
	m := f.manager("manager-1", "--manager-only")
	w := f.worker(m, "worker-1")
	m.run("image", "load", artifact(t, "busybox.tar"))
	m.run("service", "create", "app", "--image", "busybox", "--stop-timeout", "1s", "--", "sleep", "10000")
	id := m.running("app", 1)[0].ID
	sameTask := func() {
		t.Helper()
		if now := m.running("app", 1)[0]; now.ID != id || now.Restarts != 0 {
			t.Errorf("the task was not left alone: %+v", now)
		}
	}

	t.Log("a worker that is upgraded before the managers is refused, and its container goes on")
	w.end(syscall.SIGTERM)
	w.program = next
	w.startWorker()
	w.logs("upgrade all managers first")
	if len(containersOf(w)) == 0 {
		t.Error("the container is gone")
	}

	t.Log("managers first: the database is kept as it was")
	m.end(syscall.SIGTERM)
	older := m.program
	m.program = next
	m.launch("manager", "start", "--data-dir", m.lib())
	m.apiAnswers()
	m.state("worker-1", "ready")
	sameTask()
	saved := filepath.Join(m.lib(), "data", "warren.db.format1")
	if _, err := os.Stat(saved); err != nil {
		t.Error(err)
	}

	t.Log("a worker may be one version behind")
	w.end(syscall.SIGTERM)
	w.program = older
	w.startWorker()
	m.state("worker-1", "ready")
	sameTask()

	t.Log("there is no way back on the same directory, but there is one to what was saved")
	m.run("service", "create", "later", "--image", "busybox", "--replicas", "0")
	m.end(syscall.SIGTERM)
	m.program = older
	if said := m.failsToStart(); !strings.Contains(said, "newer Warren") || !strings.Contains(said, "docs/upgrading.md") {
		t.Errorf("it says %s", said)
	}
	data := filepath.Join(m.lib(), "data")
	for _, step := range [][]string{{"mv", data, data + ".newer"}, {"mkdir", "-m", "700", data}, {"cp", filepath.Join(data+".newer", "warren.db.format1"), filepath.Join(data, "warren.db")}} {
		if out, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	m.launch("manager", "start", "--data-dir", m.lib())
	m.apiAnswers()
	m.state("worker-1", "ready")
	sameTask()
	m.refused(4, "service", "inspect", "later")
}

// logs waits until the node's log has the words.
func (n *node) logs(words string) {
	n.t.Helper()
	n.eventually("the log says: "+words, func() error {
		n.alive()
		text, err := os.ReadFile(n.logPath())
		if err == nil && !strings.Contains(string(text), words) {
			err = errors.New("it does not")
		}
		return err
	})
}

// failsToStart starts the manager, which must end by itself, and returns what
// it says.
func (n *node) failsToStart() string {
	n.t.Helper()
	words := append(slices.Clone(n.wrap), n.program, "manager", "start", "--data-dir", n.lib())
	start := exec.Command(words[0], words[1:]...)
	start.Env = n.env()
	out, err := start.CombinedOutput()
	if err == nil {
		n.t.Error("it started")
	}
	return string(out)
}

// containersOf lists the processes that look after a node's containers.
func containersOf(n *node) (shims []string) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), n.dir+"/") && strings.Contains(string(line), "shim") {
			shims = append(shims, fmt.Sprintf("%q", line))
		}
	}
	return shims
}
