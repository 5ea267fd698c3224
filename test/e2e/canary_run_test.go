//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whatever happens to secrets in a life, nothing that Warren writes holds one,
// and no process is told one by its arguments or environment.
func TestNothingThatIsWrittenHoldsASecret(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	first, second, third := "canary-first-81fa6c2e", "canary-second-c2d94b07", "canary-third-5e0a37d1"
	n.feed(first, "secret", "create", "db-password", "--from-stdin")
	n.run("service", "create", "db", "--image", "busybox", "--secret", "source=db-password,on-change=update", "--", "sleep", "1000")
	n.running("db", 1)
	n.reads("db-task-1", "db-password", first)

	n.feed(second, "secret", "update", "db-password", "--from-stdin")
	n.reads("db-task-1", "db-password", second)
	n.run("cluster", "rotate-keys")
	n.end(syscall.SIGKILL)
	n.start()
	n.waitReady()
	n.reads("db-task-1", "db-password", second)
	n.run("cluster", "unlock-key", "--rotate", "--output", filepath.Join(n.dir, "unlock.key.copy"))
	n.feed(third, "secret", "update", "db-password", "--from-stdin")
	n.reads("db-task-1", "db-password", third)
	n.run("secret", "rollback", "db-password", "--to", "1")
	n.reads("db-task-1", "db-password", first)

	for _, value := range []string{first, second, third} {
		n.scanForCanary(value)
		n.scanProcesses(value)
	}
	n.run("service", "delete", "db")
	n.end(syscall.SIGTERM)
	for _, value := range []string{first, second, third} {
		n.scanForCanary(value)
	}
}

// scanProcesses looks at what all processes of the machine were started with.
func (n *node) scanProcesses(value string) {
	n.t.Helper()
	looked := 0
	for _, of := range []string{"cmdline", "environ"} {
		paths, err := filepath.Glob("/proc/[0-9]*/" + of)
		if err != nil {
			n.t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			looked++
			if bytes.Contains(text, []byte(value)) {
				n.t.Errorf("%s holds the secret's value", path)
			}
		}
	}
	if looked < 4 {
		n.t.Fatalf("only %d files of processes were searched", looked)
	}
}
