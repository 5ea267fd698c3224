//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/testkit/pty"
)

// unlockKey is how every unlock key begins.
const unlockKey = "wrn-unlock-"

func TestUnlockKeyIsShownOnATerminalOnly(t *testing.T) {
	t.Parallel()
	t.Run("a journal does not get it", func(t *testing.T) {
		n := startNode(t)
		n.end(syscall.SIGTERM)
		text, err := os.ReadFile(n.logPath())
		if err != nil || !strings.Contains(string(text), "cluster initialised") {
			t.Fatalf("no word of the new cluster: %s %v", text, err)
		}
		if strings.Contains(string(text), unlockKey) {
			t.Errorf("the log has the unlock key:\n%s", text)
		}
	})
	t.Run("a person gets it", func(t *testing.T) {
		n := newNode(t)
		outside, inside := pty.Open(t)
		n.launchOn(inside, n.initArgs()...)
		n.waitReady()
		n.end(syscall.SIGTERM)
		inside.Close()
		said, _ := io.ReadAll(outside) // ends with an error: the other end is closed
		if !strings.Contains(string(said), unlockKey) {
			t.Errorf("the terminal did not get the unlock key: %s", said)
		}
	})
}

// TestCertificateGoesToTheCallersHomeUnderSudo runs init as sudo does, for a
// person whose home is not root's.
func TestCertificateGoesToTheCallersHomeUnderSudo(t *testing.T) {
	t.Parallel()
	const uid = 54321
	n := newNode(t)
	// Who that is stands in /etc/passwd, here in a mount namespace of its own.
	passwd := filepath.Join(n.dir, "passwd")
	line := fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\nann:x:%d:%d:Ann:%s:/bin/sh\n", uid, uid, n.home())
	if err := os.WriteFile(passwd, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{n.dir, n.home()} {
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	n.wrap = []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/passwd && exec "$@"`, passwd}
	n.extraEnv = []string{"HOME=/root", "SUDO_USER=ann", fmt.Sprintf("SUDO_UID=%d", uid), fmt.Sprintf("SUDO_GID=%d", uid)}
	n.launch(n.initArgs()...)
	n.extraEnv = nil
	n.waitReady()

	for _, pattern := range []string{".warren", ".warren/*", ".warren/*/*"} {
		paths, err := filepath.Glob(filepath.Join(n.home(), pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("there is no %s: %v", pattern, err)
		}
		for _, path := range paths {
			s, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if owner := s.Sys().(*syscall.Stat_t).Uid; owner != uid || s.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s belongs to %d with mode %v", path, owner, s.Mode().Perm())
			}
		}
	}
	// Who has it needs no root, and no socket.
	cmd := exec.Command(readable(t, binary(t)), "volume", "list")
	cmd.Env = n.env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the person's own command: %v\n%s", err, out)
	}
}

// readable copies a program to where everybody may run it.
func readable(t *testing.T, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "we2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "warren")
	command(t, "cp", program, path)
	return path
}

func TestBadDataDirectoriesAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("not writable", func(t *testing.T) {
		n := newNode(t)
		if err := os.Mkdir(n.lib(), 0o711); err != nil {
			t.Fatal(err)
		}
		command(t, "mount", "-t", "tmpfs", "-o", "ro", "tmpfs", n.lib())
		t.Cleanup(func() { command(t, "umount", n.lib()) })
		if said := n.refused(1, n.initArgs()...); !strings.Contains(said, n.lib()) || !strings.Contains(said, "--data-dir") {
			t.Errorf("the refusal names neither directory nor flag: %s", said)
		}
	})
	t.Run("a file", func(t *testing.T) {
		n := newNode(t)
		if err := os.WriteFile(n.lib(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if said := n.refused(1, n.initArgs()...); !strings.Contains(said, n.lib()) {
			t.Errorf("the refusal does not name the path: %s", said)
		}
	})
	t.Run("of another version", func(t *testing.T) {
		n := startNode(t)
		n.end(syscall.SIGTERM)
		path := filepath.Join(n.lib(), "node.json")
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		later := strings.Replace(string(before), `"version": 1`, `"version": 99`, 1)
		if err := os.WriteFile(path, []byte(later), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := n.refused(1, "manager", "start", "--data-dir", n.lib()); !strings.Contains(said, "newer Warren") || !strings.Contains(said, n.lib()) {
			t.Errorf("the refusal does not say why: %s", said)
		}
		if err := os.WriteFile(path, before[:len(before)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if said := n.refused(1, "manager", "start", "--data-dir", n.lib()); !strings.Contains(said, path) {
			t.Errorf("the refusal does not name the damaged file: %s", said)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
	})
}

func TestWithoutRootItSaysSudo(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(readable(t, binary(t)), "cluster", "init", "--data-dir", "/tmp/nowhere")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "sudo warren cluster init") {
		t.Errorf("it says %s, %v", out, err)
	}
}
