//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The same names in two namespaces, with a quota, on one node.
func TestNamespacesKeepThingsApart(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	n.run("namespace", "create", "prod", "--volume-quota", "100M", "--secret-quota", "1")
	for _, ns := range []string{"default", "prod"} {
		n.feed(ns+"'s", "secret", "create", "key", "--from-stdin", "-n", ns)
		n.run("volume", "create", "data", "--size", "50M", "-n", ns)
		n.run("service", "create", "web", "-n", ns, "--image", "busybox", "--secret", "key", "--volume", "data:/data", "--stop-timeout", "1s",
			"--", "sh", "-c", "cp /run/secrets/key /data/key; sleep 1000")
	}
	for _, ns := range []string{"default", "prod"} {
		n.eventually("the task of "+ns+" has written", func() error {
			if out, said, _ := n.try("", "exec", "-n", ns, "web-task-1", "--", "cat", "/data/key"); out != ns+"'s" {
				return fmt.Errorf("%s has %q: %s", ns, out, said)
			}
			return nil
		})
	}
	if text, err := os.ReadFile(filepath.Join(n.lib(), "volumes", "@prod", "data", "key")); err != nil || string(text) != "prod's" {
		t.Errorf("on the disk: %q, %v", text, err)
	}
	if text := n.refused(1, "secret", "create", "second", "--from-literal", "a=b", "-n", "prod"); !strings.Contains(text, "its quota is 1") {
		t.Errorf("over the quota: %s", text)
	}
	if text := n.refused(1, "volume", "create", "more", "-n", "prod"); !strings.Contains(text, "--size 1G -n prod") {
		t.Errorf("without a size: %s", text)
	}
	if out := n.run("namespace", "list"); !strings.Contains(out, "1 of 1") {
		t.Errorf("the list: %s", out)
	}
	if text := n.refused(1, "namespace", "delete", "prod"); !strings.Contains(text, "service web, volume data, secret key") {
		t.Errorf("not empty: %s", text)
	}
	n.run("service", "delete", "web", "-n", "prod")
	n.run("volume", "delete", "data", "--purge", "-n", "prod")
	n.run("secret", "delete", "key", "-n", "prod")
	n.eventually("the namespace is empty", func() error {
		_, stderr, code := n.try("", "namespace", "delete", "prod")
		if code != 0 {
			return errors.New(stderr)
		}
		return nil
	})
	n.run("secret", "inspect", "key")
	n.run("service", "delete", "web")
	n.run("volume", "delete", "data", "--purge")
}
