//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestSecretLooksLikeTheGuide(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("secret", "create", "db-password", "--from-literal", "password=with=equals")
	file := filepath.Join(n.dir, "cert.pem")
	if err := os.WriteFile(file, []byte("\x00\xff binary \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.run("secret", "create", "tls-cert", "--from-file", file)
	n.run("service", "create", "api", "--image", "busybox", "--replicas", "2", "--secret", "db-password", "--secret", "tls-cert", "--user", "1000:1000",
		"--env", "DB_PASSWORD_FILE=/run/secrets/db-password", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("api", 2)

	// Exact bytes, readable by the container's user, on a memory filesystem,
	// not to be written.
	if got := n.run("exec", "api-task-1", "--", "cat", "/run/secrets/db-password"); got != "with=equals" {
		t.Errorf("read %q", got)
	}
	if got := n.run("exec", "api-task-2", "--", "cat", "/run/secrets/tls-cert"); got != "\x00\xff binary \n" {
		t.Errorf("read %q", got)
	}
	if got := n.run("exec", "api-task-1", "--", "sh", "-c", "grep ' /run/secrets ' /proc/mounts"); !regexp.MustCompile(` (tmpfs|ramfs) ro,`).MatchString(got) {
		t.Errorf("mounted as %s", got)
	}
	n.refused(1, "exec", "api-task-1", "--", "sh", "-c", "echo x > /run/secrets/db-password")

	list := n.run("secret", "list")
	if !regexp.MustCompile(`(?m)^NAME +SIZE +CREATED$`).MatchString(list) || !regexp.MustCompile(`(?m)^db-password +11B +`).MatchString(list) {
		t.Errorf("the list is not the guide's:\n%s", list)
	}
	inspect := n.run("secret", "inspect", "db-password")
	for _, line := range []string{`^Name: db-password$`, `^ID: secret-db-password-[a-z0-9]{6}$`, `^Size: 11 bytes$`, `^Created: `, `^Used By:$`, `^  - api \(service\)$`} {
		if !regexp.MustCompile("(?m)" + line).MatchString(inspect) {
			t.Errorf("inspect has no line %s:\n%s", line, inspect)
		}
	}
	if strings.Contains(inspect+n.run("secret", "inspect", "db-password", "-o", "json"), "with=equals") {
		t.Error("inspect shows the value")
	}
}

func TestForcedDeletionTakesTheFileFromRunningTasks(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.feed("a", "secret", "create", "one", "--from-stdin")
	n.feed("b", "secret", "create", "two", "--from-stdin")
	n.run("service", "create", "app", "--image", "busybox", "--secret", "one", "--secret", "two", "--stop-timeout", "1s", "--", "sleep", "1000")
	before := n.running("app", 1)[0]

	if said := n.refused(1, "secret", "delete", "one"); !strings.Contains(said, "app") || !strings.Contains(said, "--force") {
		t.Errorf("the refusal names neither user nor way: %s", said)
	}
	n.run("secret", "delete", "one", "--force")
	n.eventually("the file is gone from the running container", func() error {
		if got := n.run("exec", "app-task-1", "--", "ls", "/run/secrets"); got != "two\n" {
			return fmt.Errorf("it holds %q", got)
		}
		return nil
	})
	if after := n.running("app", 1)[0]; after.ID != before.ID || after.Restarts != before.Restarts {
		t.Errorf("the task was disturbed: %+v, then %+v", before, after)
	}
	if inspect := n.run("service", "inspect", "app"); regexp.MustCompile(`\bone\b`).MatchString(inspect) {
		t.Errorf("the service still names the secret:\n%s", inspect)
	}
}

func TestSecretsAreGoneWhenTheTaskStops(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.feed("value", "secret", "create", "one", "--from-stdin")
	n.run("service", "create", "app", "--image", "busybox", "--secret", "one", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	if !below(mountsBelow(n.dir), filepath.Join(n.runDir(), "secrets")) {
		t.Fatalf("no secret is mounted: %v", mountsBelow(n.dir))
	}
	n.run("service", "delete", "app")
	if below(mountsBelow(n.dir), filepath.Join(n.runDir(), "secrets")) {
		t.Errorf("still mounted: %v", mountsBelow(n.dir))
	}
}

func below(paths []string, dir string) bool {
	for _, p := range paths {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}
