package local

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// created makes a driver with one volume.
func created(t *testing.T) (*Driver, volume.Volume, string) {
	t.Helper()
	d := open(t, filepath.Join(t.TempDir(), "volumes"))
	v := volume.Volume{ID: "vol-data-abc123", Namespace: "default", Name: "data"}
	must(t, d.Create(t.Context(), v))
	return d, v, d.Path(v)
}

// describe lists a tree with everything about it that a copy must keep.
func describe(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	links := map[uint64]int{}
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		rel, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("%s %o %d:%d mtime %d.%09d", rel, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			must(t, err)
			if links[st.Ino] == 0 {
				links[st.Ino] = len(links) + 1
			}
			line += fmt.Sprintf(" %08x file %d", crc32.ChecksumIEEE(content), links[st.Ino])
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			must(t, err)
			line += " -> " + target
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			line += xattrs(t, path)
		}
		lines = append(lines, line)
		return nil
	}))
	return strings.Join(lines, "\n")
}

func xattrs(t *testing.T, path string) string {
	t.Helper()
	list := make([]byte, 4096)
	n, err := unix.Llistxattr(path, list)
	must(t, err)
	names := strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 })
	sort.Strings(names)
	var all strings.Builder
	for _, name := range names {
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(path, name, value)
		must(t, err)
		fmt.Fprintf(&all, " %s=%x", name, value[:n])
	}
	return all.String()
}

func TestDeleteFollowsNoLink(t *testing.T) {
	d, v, dir := created(t)
	outside := t.TempDir()
	put(t, filepath.Join(outside, "sub/precious"), "1")
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	must(t, os.Symlink(filepath.Join(outside, "sub/precious"), filepath.Join(dir, "file")))
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	must(t, os.Link(filepath.Join(outside, "sub/precious"), filepath.Join(dir, "hard")))
	before := describe(t, outside)
	must(t, d.Delete(t.Context(), v))
	if after := describe(t, outside); after != before {
		t.Errorf("outside of the volume:\n%s\nwas\n%s", after, before)
	}
}

func TestDeleteTakesAnyDepthAndAnyName(t *testing.T) {
	d, v, dir := created(t)
	must(t, os.WriteFile(filepath.Join(dir, "\n\xff -rf *"), nil, 0))
	for _, name := range []string{gonePrefix + "lifted-1", gonePrefix + "lifted-2"} {
		put(t, filepath.Join(dir, name, "taken"), "")
	}
	// 3,000 levels of 8 characters: no path reaches the bottom.
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range 3000 {
		must(t, unix.Mkdirat(fd, "deeper--", 0o755))
		next, err := unix.Openat(fd, "deeper--", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		must(t, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
	// Nor does it take the node's file descriptors.
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 400, Max: limit.Max}))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	if _, err := d.Usage(t.Context(), v); err != nil {
		t.Errorf("measure it: %v", err)
	}
	must(t, d.Delete(t.Context(), v))
	mustHaveNothingLeft(t, d)
}

// mustHaveNothingLeft looks for what no volume owns.
func mustHaveNothingLeft(t *testing.T, d *Driver) {
	t.Helper()
	own := map[string]bool{metaDir: true, snapshotsDir: true, imagesDir: true, trashDir: true, metaDir + "/" + trashDir: true}
	must(t, filepath.WalkDir(d.root, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(d.root, path); rel != "." && !own[rel] {
			t.Errorf("left behind: %s", rel)
		}
		return err
	}))
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	must(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

func TestDeleteStopsAtAMountInsideTheVolume(t *testing.T) {
	d, v, dir := created(t)
	outside := t.TempDir()
	put(t, filepath.Join(outside, "precious"), "1")
	inside := filepath.Join(dir, "sub/mounted")
	bind(t, outside, inside)
	if err := d.Delete(t.Context(), v); !errors.Is(err, volume.ErrBusy) || !strings.Contains(err.Error(), inside) {
		t.Errorf("delete: %v; want ErrBusy that names %s", err, inside)
	}
	// The tree's removal does not rely on that look before it.
	top, err := os.Open(d.root)
	must(t, err)
	defer top.Close()
	if err := removeTree(t.Context(), top, "data"); !errors.Is(err, volume.ErrBusy) {
		t.Errorf("remove the tree: %v; want ErrBusy", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Fatalf("deleted through a mount: %v", err)
	}
	must(t, unix.Unmount(inside, 0))
	must(t, d.Delete(t.Context(), v))
}

func TestDeleteAgainAfterBeingKilled(t *testing.T) {
	d, v, dir := created(t)
	put(t, filepath.Join(dir, "a/b/c"), "1")
	// Killed after the rename, and again after the marker was removed.
	must(t, os.Rename(dir, filepath.Join(d.root, gonePrefix+v.ID)))
	if _, err := d.Stage(t.Context(), v); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("stage while it is being deleted: %v", err)
	}
	must(t, d.Delete(t.Context(), v))
	mustHaveNothingLeft(t, d)

	put(t, filepath.Join(d.root, gonePrefix+"vol-old-abc123/a"), "1")
	must(t, d.Sweep(t.Context()))
	mustHaveNothingLeft(t, d)
}

func TestDeleteEndsWithItsContextAndGoesOnLater(t *testing.T) {
	d, v, dir := created(t)
	put(t, filepath.Join(dir, "a/b/c"), "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Delete(ctx, v); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	must(t, d.Delete(t.Context(), v))
	mustHaveNothingLeft(t, d)
}

// Without a marker there is no proof that a directory is the volume's: it may
// have been restored by hand since the volume was deleted.
func TestDeleteLeavesWhatIsNotItsOwn(t *testing.T) {
	d, v, dir := created(t)
	must(t, d.Delete(t.Context(), v))
	put(t, filepath.Join(dir, "restored"), "1")
	must(t, d.Delete(t.Context(), v))
	if _, err := os.Stat(filepath.Join(dir, "restored")); err != nil {
		t.Fatalf("a late delete took data: %v", err)
	}
}

func TestUsageCountsAllocatedBlocksOnce(t *testing.T) {
	d, v, dir := created(t)
	usage := func() uint64 {
		t.Helper()
		n, err := d.Usage(t.Context(), v)
		must(t, err)
		return n.Bytes
	}
	empty := usage()
	put(t, filepath.Join(dir, "one"), strings.Repeat("x", 1<<20))
	must(t, os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")))
	must(t, os.Symlink("/", filepath.Join(dir, "root")))
	if got := usage() - empty; got != 1<<20 {
		t.Errorf("1 MiB under two names takes %d", got)
	}
	put(t, filepath.Join(dir, "sparse"), "")
	must(t, os.Truncate(filepath.Join(dir, "sparse"), 1<<40))
	if got := usage() - empty; got != 1<<20 {
		t.Errorf("with a hole of 1 TiB it takes %d", got)
	}
	outside := t.TempDir()
	put(t, filepath.Join(outside, "big"), strings.Repeat("x", 4<<20))
	bind(t, outside, filepath.Join(dir, "mounted"))
	if got := usage() - empty; got > 1<<20+8192 {
		t.Errorf("with something mounted inside it takes %d", got)
	}
}

func TestUsageToleratesWhatVanishes(t *testing.T) {
	d, v, dir := created(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			sub := filepath.Join(dir, fmt.Sprintf("sub-%d", i%50))
			_ = os.MkdirAll(filepath.Join(sub, "deeper"), 0o755)
			_ = os.WriteFile(filepath.Join(sub, "deeper/file"), nil, 0o644)
			_ = os.RemoveAll(filepath.Join(dir, fmt.Sprintf("sub-%d", (i+25)%50)))
		}
	}()
	for range 40 {
		if _, err := d.Usage(t.Context(), v); err != nil {
			t.Errorf("measure while files come and go: %v", err)
			break
		}
	}
	close(stop)
	<-stopped
}

// A container's bind mount is in the container's mount namespace only.
func TestDeleteSeesMountsOfOtherNamespaces(t *testing.T) {
	d, v, dir := created(t)
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	container := exec.Command("/bin/sh", "-c", `mount --bind "$0" /mnt && echo ready && read end`, filepath.Join(dir, "sub"))
	container.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	stdin, err := container.StdinPipe()
	must(t, err)
	stdout, err := container.StdoutPipe()
	must(t, err)
	must(t, container.Start())
	defer container.Wait()
	defer stdin.Close()
	if _, err := io.ReadFull(stdout, make([]byte, len("ready"))); err != nil {
		t.Fatalf("the container did not mount: %v", err)
	}
	err = d.Delete(t.Context(), v)
	if !errors.Is(err, volume.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint(container.Process.Pid)) {
		t.Errorf("delete: %v; want ErrBusy that names process %d", err, container.Process.Pid)
	}
	must(t, stdin.Close())
	_ = container.Wait()
	must(t, d.Delete(t.Context(), v))
}
