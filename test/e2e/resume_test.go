//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What is followed goes on when the manager restarts, in order or not: nothing
// is missing and nothing comes twice.
func TestFollowingGoesOnAfterARestart(t *testing.T) {
	n := startBusybox(t)
	n.run("service", "create", "app", "--image", "busybox", "--stop-timeout", "1s", "--", "sh", "-c",
		"i=0; while :; do echo line $i; i=$((i+1)); usleep 50000; done")
	n.running("app", 1)
	logs, events := n.follow("service", "logs", "-f", "app"), n.follow("events", "-f")
	numbers := func() (all []int) {
		for _, m := range regexp.MustCompile(`(?m)^app-task-1 \| line (\d+)$`).FindAllStringSubmatch(logs(), -1) {
			i, _ := strconv.Atoi(m[1])
			all = append(all, i)
		}
		return all
	}
	for i, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		before := 0
		n.eventually("lines are read", func() error {
			if before = len(numbers()); before == 0 {
				return fmt.Errorf("%q", logs())
			}
			return nil
		})
		n.end(how)
		n.start()
		n.run("service", "update", "app", "--label", fmt.Sprint("restart=", i))
		n.eventually("both go on", func() error {
			if now := len(numbers()); now < before+20 || strings.Count(events(), "service app  updated") != i+1 {
				return fmt.Errorf("%d lines before, %d now: %s\nevents:\n%s", before, now, logs(), events())
			}
			return nil
		})
	}
	for i, number := range numbers() {
		if i != number {
			t.Fatalf("line %d is number %d", i, number)
		}
	}
	if n := strings.Count(events(), "service app  created"); n != 1 {
		t.Errorf("an event came %d times: %s", n, events())
	}
}

// follow runs a command that does not end by itself, and returns what gives its
// output so far.
func (n *node) follow(args ...string) (output func() string) {
	n.t.Helper()
	path := filepath.Join(n.dir, "follow-"+args[0])
	file, err := os.Create(path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(binary(n.t), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = n.env(), file, file
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return func() string {
		text, _ := os.ReadFile(path)
		return string(text)
	}
}
