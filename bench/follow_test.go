//go:build bench

package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// containers that follow one secret, and in how many milliseconds 99 of 100
	// of them should see a new version: one alone, and all together.
	followers       = 200
	followAimOfOne  = 200
	followAimOfMany = 2000
)

// TestFollow makes new versions of a secret that running containers follow, and
// measures from the call until the file is another one in each of them.
func TestFollow(t *testing.T) {
	n, r := startNode(t), result
	n.run(t, "image", "load", built(t, ".cache/images/busybox.tar", "images"))
	n.run(t, "secret", "create", "key", "--from-literal", "key=first")
	for _, f := range []struct {
		count uint32
		aim   float64
		runs  int
	}{{1, followAimOfOne, 4 * rounds}, {followers, followAimOfMany, rounds}} {
		n.follow(t, f.count)
		w := n.watchSecrets(t)
		if len(w.dirs) != int(f.count) {
			t.Fatalf("%d containers have secrets, not %d", len(w.dirs), f.count)
		}
		var each, last samples
		for range f.runs {
			took := w.next(t, n.publish)
			each, last = append(each, took...), append(last, took.quantile(1))
		}
		w.close()
		what := fmt.Sprintf("new version to file changed, %d containers", f.count)
		r.measurement(what+", each", "ms", each)
		if f.count > 1 {
			r.measurement(what+", the last", "ms", last)
		}
		r.atMost(what+", 99 of 100", each.quantile(0.99), f.aim, "ms")
		n.run(t, "service", "delete", "follower")
	}
}

// follow runs a service of so many tasks that follow the secret.
func (n *node) follow(t *testing.T, count uint32) {
	t.Helper()
	_, err := n.client.Services.CreateService(t.Context(), &warrenv1.CreateServiceRequest{
		Name: "follower",
		Spec: &warrenv1.ServiceSpec{Replicas: count, Container: &warrenv1.ContainerSpec{
			Image: "busybox", Args: command, StopTimeout: durationpb.New(5 * time.Second), Network: warrenv1.NetworkMode_NETWORK_MODE_NONE,
			Secrets: []*warrenv1.SecretMount{{Secret: "key", OnChange: warrenv1.OnChange_ON_CHANGE_UPDATE}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.until(t, "its tasks run", func() error {
		s, err := n.client.Services.GetService(t.Context(), &warrenv1.Ref{NameOrId: "follower"})
		if err == nil && s.GetRunning() < count {
			err = fmt.Errorf("%d run", s.GetRunning())
		}
		return err
	})
}

// publish makes a new version, by the API.
func (n *node) publish() error {
	value, err := seal.PlaintextFrom(make([]byte, valueBytes))
	if err != nil {
		return err
	}
	defer value.Destroy()
	sealed, err := seal.SealTo(n.cluster.GetSealingKey(), seal.ToClusterInfo(n.cluster.GetId(), "default", "key", ""), value)
	if err != nil {
		return err
	}
	_, err = n.client.Secrets.UpdateSecret(context.Background(), &warrenv1.UpdateSecretRequest{
		Ref: &warrenv1.Ref{NameOrId: "key"}, Items: []*warrenv1.SealedItem{{Ciphertext: sealed}},
	})
	return err
}

// secretWatch hears of every file that comes into one of the directories which
// containers have at /run/secrets.
type secretWatch struct {
	events *os.File
	dirs   []string
}

func (n *node) watchSecrets(t *testing.T) *secretWatch {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(n.runDir(), "secrets", "*", "files"))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	w := &secretWatch{events: os.NewFile(uintptr(fd), "inotify"), dirs: dirs}
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO); err != nil {
			t.Fatalf("watch %s: %v", strings.TrimPrefix(dir, n.dir), err)
		}
	}
	return w
}

func (w *secretWatch) close() { w.events.Close() }

// next does something and returns after how many milliseconds each of the
// directories had a new file.
func (w *secretWatch) next(t *testing.T, do func() error) (took samples) {
	t.Helper()
	if err := w.events.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- do() }()
	seen := map[int32]bool{}
	for buffer := make([]byte, 64<<10); len(seen) < len(w.dirs); {
		size, err := w.events.Read(buffer)
		if err != nil {
			t.Fatalf("%d of %d containers have the new version: %v", len(seen), len(w.dirs), err)
		}
		at := time.Since(began)
		for rest := buffer[:size]; len(rest) >= unix.SizeofInotifyEvent; {
			dir := int32(binary.NativeEndian.Uint32(rest))
			if !seen[dir] {
				seen[dir] = true
				took = append(took, at.Seconds()*1e3)
			}
			rest = rest[unix.SizeofInotifyEvent+binary.NativeEndian.Uint32(rest[12:]):]
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return took
}
