//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// startBusybox starts a node that has the busybox image.
func startBusybox(t *testing.T, flags ...string) *node {
	n := startNode(t, flags...)
	n.run("image", "load", artifact(t, "busybox.tar"))
	return n
}

// gone waits until the service has no task that is not stopped.
func (n *node) gone(service string) {
	n.t.Helper()
	n.eventually("no task of "+service+" is left", func() error {
		if tasks, err := n.tasks(service); err != nil || len(tasks) != 0 {
			return fmt.Errorf("%+v %v", tasks, err)
		}
		return nil
	})
}

func TestVolumeLooksLikeTheGuide(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("volume", "create", "db-data", "--driver", "local", "--label", "env=production", "--label", "app=postgres", "--manager", n.address)
	path := filepath.Join(n.lib(), "volumes/db-data")
	if s, err := os.Stat(path); err != nil || !s.IsDir() {
		t.Fatalf("the directory does not exist when volume create returns: %v", err)
	}
	if s, _ := os.Stat(n.lib()); s.Mode().Perm() != 0o711 {
		t.Errorf("the data directory has mode %v, want 0711", s.Mode().Perm())
	}
	n.run("service", "create", "app", "--image", "busybox", "--volume", "db-data:/data", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)

	list := n.run("volume", "list")
	if !regexp.MustCompile(`(?m)^NAME +DRIVER +SIZE +NODE +CREATED$`).MatchString(list) {
		t.Errorf("the list's head is not the guide's:\n%s", list)
	}
	inspect := n.run("volume", "inspect", "db-data")
	for _, line := range []string{
		`^Name: db-data$`, `^ID: vol-db-data-[a-z0-9]{6}$`, `^Driver: local$`, `^Mount Point: ` + path + `$`,
		`^Node: \S+$`, `^Size: `, `^Used By:$`, `^  - app \(service\)$`, `^  - app-task-1 \(task\)$`,
		`^Created: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`,
	} {
		if !regexp.MustCompile("(?m)" + line).MatchString(inspect) {
			t.Errorf("inspect has no line %s:\n%s", line, inspect)
		}
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(n.run("volume", "inspect", "db-data", "-o", "json")), &v); err != nil {
		t.Fatal(err)
	}
	if created, _ := v["created_at"].(string); !strings.HasSuffix(created, "Z") {
		t.Errorf("JSON has the time %q, want UTC", created)
	}
	// By ID as well as by name.
	n.run("volume", "inspect", v["id"].(string))
	n.refused(4, "volume", "inspect", v["id"].(string)[:len("vol-db-d")])
}

func TestVolumeInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--volume", "data:/data", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	n.run("exec", "app-task-1", "--", "sh", "-c", "echo kept > /data/file")
	path := filepath.Join(n.lib(), "volumes/data")

	said := n.refused(1, "volume", "delete", "data")
	for _, want := range []string{"app", "app-task-1", "--force"} {
		if !strings.Contains(said, want) {
			t.Errorf("the refusal does not name %s: %s", want, said)
		}
	}
	n.run("volume", "delete", "data", "--force")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	n.refused(4, "volume", "inspect", "data")
	if inspect := n.run("service", "inspect", "app"); !strings.Contains(inspect, "stopped") || !strings.Contains(inspect, "data") {
		t.Errorf("the service does not say that it is stopped, and why:\n%s", inspect)
	}
	if said := n.refused(1, "service", "start", "app"); !strings.Contains(said, "data") {
		t.Errorf("the refusal does not name the volume: %s", said)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the service was given an empty volume")
	}
	n.run("volume", "create", "data")
	n.run("service", "start", "app")
	n.running("app", 1)
}

func TestReadOnlyVolumeIsReadOnly(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("volume", "create", "config")
	if err := os.WriteFile(filepath.Join(n.lib(), "volumes/config/file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.run("service", "create", "app", "--image", "busybox", "--volume", "config:/config:ro", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	if got := n.run("exec", "app-task-1", "--", "cat", "/config/file"); got != "content" {
		t.Errorf("read %q", got)
	}
	if said := n.refused(1, "exec", "app-task-1", "--", "touch", "/config/new"); !strings.Contains(said, "Read-only") {
		t.Errorf("the kernel did not refuse the write: %s", said)
	}
}

func TestNewVolumeTakesOverTheImagesContent(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	startPostgres(n)
	query(n, "select 1")
	s, err := os.Stat(filepath.Join(n.lib(), "volumes/db-data"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := s.Sys().(*syscall.Stat_t).Uid; owner != 999 {
		t.Errorf("the volume belongs to %d, the image says 999", owner)
	}
}

func TestReplicasShareALocalVolume(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("volume", "create", "data")
	_, said, code := n.try("", "service", "create", "app", "--replicas", "3", "--image", "busybox", "--volume", "data:/data", "--stop-timeout", "1s", "--", "sleep", "1000")
	if code != 0 || !strings.Contains(said, "run on its node") {
		t.Errorf("exit %d, and no warning that all replicas run on one node: %s", code, said)
	}
	n.running("app", 3)
	n.run("exec", "app-task-1", "--", "sh", "-c", "echo one > /data/file")
	if got := n.run("exec", "app-task-3", "--", "cat", "/data/file"); got != "one\n" {
		t.Errorf("read %q", got)
	}
}

func TestFiftyVolumesAndAHundredSecrets(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	args := []string{"service", "create", "big", "--image", "busybox"}
	value := strings.Repeat("x", 1<<20)
	for i := range 100 {
		name := fmt.Sprintf("secret-%d", i)
		n.feed(value, "secret", "create", name, "--from-stdin")
		args = append(args, "--secret", name)
	}
	for i := range 50 {
		args = append(args, "--volume", fmt.Sprintf("volume-%d:/data/%d", i, i))
	}
	n.run(append(args, "--stop-timeout", "1s", "--", "sleep", "1000")...)
	n.running("big", 1)
	if got := strings.TrimSpace(n.run("exec", "big-task-1", "--", "sh", "-c", "cat /run/secrets/* | wc -c")); got != fmt.Sprint(100<<20) {
		t.Errorf("%s bytes of secrets in the container, want %d", got, 100<<20)
	}
}
