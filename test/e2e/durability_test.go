//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestAcknowledgedIsKept kills the node again and again while secrets are
// created; each one that was acknowledged must be there, with its value.
func TestAcknowledgedIsKept(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	var acknowledged []string
	for round := range 5 {
		var mu sync.Mutex
		var clients sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		for c := range 3 {
			clients.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("s-%d-%d-%d", round, c, i)
					cmd := exec.Command(binary(t), "secret", "create", name, "--from-stdin")
					cmd.Env, cmd.Stdin = n.env(), strings.NewReader(name)
					if cmd.Run() != nil {
						return
					}
					mu.Lock()
					acknowledged = append(acknowledged, name)
					mu.Unlock()
					if i == 5 {
						once.Do(func() { close(enough) })
					}
				}
			})
		}
		<-enough
		n.end(syscall.SIGKILL)
		clients.Wait()
		n.start()
	}
	list := n.run("secret", "list")
	for _, name := range acknowledged {
		if !strings.Contains(list, name+" ") {
			t.Errorf("%s was acknowledged and is gone", name)
		}
	}
	t.Logf("%d acknowledged writes through 5 kills", len(acknowledged))
}

// TestFullDisk fills the filesystem that the data directory is on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	image := filepath.Join(n.dir, "disk.img")
	command(t, "truncate", "-s", "700M", image)
	command(t, "mkfs.ext4", "-q", image)
	if err := os.Mkdir(n.lib(), 0o711); err != nil {
		t.Fatal(err)
	}
	command(t, "mount", "-o", "loop", image, n.lib())
	t.Cleanup(func() {
		if n.process != nil {
			n.end(syscall.SIGTERM)
		}
		n.killContainers()
		command(t, "umount", n.lib())
	})
	n.init()
	n.run("volume", "create", "victim")
	n.feed("value", "secret", "create", "before", "--from-stdin")
	ballast := filepath.Join(n.lib(), "ballast")
	fill(t, ballast)

	n.eventually("writes are refused", func() error {
		_, said, code := n.try("value", "secret", "create", "during", "--from-stdin")
		if code == 0 {
			n.run("secret", "delete", "during")
			fill(t, ballast)
			return fmt.Errorf("a secret was created")
		}
		if !strings.Contains(said, "disk") {
			return fmt.Errorf("the refusal does not tell of the disk: %s", said)
		}
		return nil
	})
	n.run("secret", "inspect", "before")
	n.run("volume", "delete", "victim")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	n.eventually("writes are taken again", func() error {
		if _, said, code := n.try("value", "secret", "create", "after", "--from-stdin"); code != 0 {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	n.end(syscall.SIGKILL)
	n.start()
	n.run("secret", "inspect", "before")
	n.run("secret", "inspect", "after")
	n.refused(4, "volume", "inspect", "victim")
}

// fill writes to path until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	f.Sync()
}

func TestCorruptedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.feed("value", "secret", "create", "one", "--from-stdin")
	n.end(syscall.SIGTERM)
	database := filepath.Join(n.lib(), "data/warren.db")
	if err := os.WriteFile(database, []byte(strings.Repeat("garbage", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	said := n.refused(1, "manager", "start", "--data-dir", n.lib())
	if !strings.Contains(said, database) {
		t.Errorf("the refusal does not name the file: %s", said)
	}
	// What the refusal tells: without the file it is made again from the log.
	if err := os.Remove(database); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.run("secret", "inspect", "one")
}
