//go:build e2e

package containerd

import (
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/testkit/image"
	"github.com/cuemby/warren/internal/worker/runtime"
)

func TestTwoRuntimesOnOneMachine(t *testing.T) {
	a, b := world{begin(t), t}, world{begin(t), t}
	start(t, a.Runtime, sh(a.Runtime, "only-a", "exec sleep 1000"))
	if ids, err := b.ContainerIDs(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("the second sees %v, %v", ids, err)
	}
	if _, output := b.run(sh(b.Runtime, "in-b", "echo b")); output != "b\n" {
		t.Errorf("the second printed %q", output)
	}
	if status, err := a.Status(t.Context(), "only-a"); err != nil || !status.Running {
		t.Errorf("the first's container is %+v, %v", status, err)
	}
}

// Two nodes that use one containerd must not take each other's containers for
// leftovers of their own.
func TestTwoNodesThatUseOneContainerd(t *testing.T) {
	a := begin(t)
	start(t, a, sh(a, "of-a", "exec sleep 1000"))
	o := options(directory(t))
	o.Address = a.Address()
	b, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if ids, err := b.ContainerIDs(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("the second node counts as its own %v, %v", ids, err)
	}
	if ids, err := a.ContainerIDs(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("the first node counts as its own %v, %v", ids, err)
	}
}

func TestTheAPIIsServedAtItsSocketAndTheSystems(t *testing.T) {
	dir := directory(t)
	r := open(t, dir)
	system := options(dir).SystemSocket
	for _, address := range []string{r.Address(), system} {
		c, err := client.New(address, client.WithDefaultNamespace(Namespace))
		if err != nil {
			t.Fatal(err)
		}
		if images, err := c.ListImages(t.Context()); err != nil || len(images) != 1 {
			t.Errorf("at %s: %v, %v", address, images, err)
		}
		c.Close()
	}
	info, err := os.Stat(r.Address())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
	end(t, r)
	if _, err := os.Lstat(system); !os.IsNotExist(err) {
		t.Errorf("the link stays: %v", err)
	}
}

func TestTheSystemsSocketOfOthersIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.sock")
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if link, err := linkSystemSocket(path, "/ours"); err == nil || link.path != "" {
		t.Errorf("a socket was replaced: %v, %v", link, err)
	}
	alias := filepath.Join(dir, "alias.sock")
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	if link, err := linkSystemSocket(alias, "/ours"); err == nil || link.path != "" {
		t.Errorf("the link to a live socket was replaced: %v, %v", link, err)
	}
	other.Close() // which removes the socket, so that the link is stale
	link, err := linkSystemSocket(alias, "/ours")
	if err != nil {
		t.Fatal(err)
	}
	if target, _ := os.Readlink(alias); target != "/ours" {
		t.Errorf("the stale link leads to %s", target)
	}
	if again, err := linkSystemSocket(alias, "/ours"); err != nil || again != link {
		t.Errorf("our own link is not taken up again: %v, %v", again, err)
	}
	if err := os.Remove(alias); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/theirs", alias); err != nil {
		t.Fatal(err)
	}
	if err := link.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(alias); err != nil {
		t.Error("a link that was taken over by others was removed")
	}
}

func TestShimSocketsHaveShortPaths(t *testing.T) {
	for _, runDir := range []string{"/run/warren", "/a/very/long/path/below/which/somebody/keeps/the/run/directory"} {
		if dir := socketDir(runDir); len(dir) > maxSocketDir {
			t.Errorf("%s: %s", runDir, dir)
		}
	}
	if socketDir(strings.Repeat("/long", 20)+"1") == socketDir(strings.Repeat("/long", 20)+"2") {
		t.Error("two run directories share sockets")
	}
}

func TestAfterARebootNothingStaleStays(t *testing.T) {
	dir, _ := withShortContainer(t)
	// What a reboot does to the processes; /run stays, as where it is on disk.
	bundle := filepath.Join(dir, "run", "containerd", "io.containerd.runtime.v2.task", Namespace, "short")
	var first int
	if b, err := os.ReadFile(filepath.Join(bundle, "init.pid")); err != nil {
		t.Fatal(err)
	} else if _, err := fmt.Sscan(string(b), &first); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{parent(t, first), first} {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	boot := filepath.Join(dir, "data", "containerd", "boot_id")
	if err := os.WriteFile(boot, []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	w := world{open(t, dir), t}
	defer end(t, w.Runtime)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Error("something of the earlier boot is still mounted")
	}
	after, err := w.Status(t.Context(), "short")
	if err != nil || after.Running || after.Exit == nil || after.Exit.Code != unknownCode {
		t.Errorf("after the reboot: %+v, %v", after, err)
	}
	if err := w.Delete(t.Context(), "short"); err != nil {
		t.Fatal(err)
	}
	if _, output := w.run(sh(w.Runtime, "short", "echo anew")); !strings.HasSuffix(output, "anew\n") {
		t.Errorf("started anew, it printed %q", output)
	}
}

func TestHelpersKeepTheirPathsWhenTheyAreReplaced(t *testing.T) {
	dir := directory(t)
	r := open(t, dir)
	c := sh(r, "old", "exec sleep 1000")
	start(t, r, c)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// Another version was installed: same paths, other files.
	for _, path := range []string{r.helpers.Shim, r.helpers.Runc, r.helpers.Log} {
		if err := os.WriteFile(path+".x", []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".x", path); err != nil {
			t.Fatal(err)
		}
	}
	r = open(t, dir)
	defer end(t, r)
	if status, err := r.Status(t.Context(), "old"); err != nil || !status.Running {
		t.Errorf("after the upgrade: %+v, %v", status, err)
	}
	if _, err := r.Exec(t.Context(), "old", runtime.Exec{Args: []string{"true"}}); err != nil {
		t.Errorf("a command after the upgrade: %v", err)
	}
}

func TestWhatIsMountedBelowASourceAppears(t *testing.T) {
	w := world{begin(t), t}
	root := filepath.Join(w.runDir, "shared")
	if err := os.MkdirAll(filepath.Join(root, "late"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := sh(w.Runtime, "watcher", "until [ -e /shared/late/here ]; do usleep 10000; done; echo appeared")
	c.Mounts = []runtime.Mount{{Source: root, Target: "/shared"}}
	start(t, w.Runtime, c)
	late := filepath.Join(root, "late")
	if err := unix.Mount("tmpfs", late, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(late, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	}()
	if err := os.WriteFile(filepath.Join(late, "here"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the container sees the mount", func() bool { return printed(t, c.LogPath) == "appeared\n" })
}

func TestADataDirectoryHasOneProcess(t *testing.T) {
	dir := directory(t)
	r := open(t, dir)
	if second, err := New(t.Context(), options(dir)); err == nil || !strings.Contains(err.Error(), "another warren") {
		t.Errorf("opened twice: %v, %v", second, err)
	}
	end(t, r)
	end(t, open(t, dir)) // which is free again
}

func TestBadDirectoriesAreRefused(t *testing.T) {
	for what, change := range map[string]func(*Options){
		"relative": func(o *Options) { o.DataDir = "data" },
		"none":     func(o *Options) { o.RunDir = "" },
		"a file":   func(o *Options) { o.DataDir = "/etc/passwd/x" },
	} {
		o := options(t.TempDir())
		change(&o)
		if r, err := New(t.Context(), o); err == nil {
			t.Errorf("%s: opened %v", what, r)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	w := world{begin(t), t}
	name := serve(t, httptest.NewServer(image.Registry("", "")))
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			if _, err := w.Ensure(t.Context(), name, runtime.RegistryAccess{}); err != nil {
				t.Error(err)
				return
			}
			c := sh(w.Runtime, fmt.Sprintf("one-%d", i), fmt.Sprintf("exit %d", i))
			c.Image = name
			if err := errors.Join(w.Create(t.Context(), c), w.Start(t.Context(), c.ID)); err != nil {
				t.Error(err)
				return
			}
			if exit, err := w.Wait(t.Context(), c.ID); err != nil || exit.Code != i {
				t.Errorf("%s ended with %+v, %v", c.ID, exit, err)
			}
			if err := w.Delete(t.Context(), c.ID); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
