package secretfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cuemby/warren/internal/seal"
	"golang.org/x/sys/unix"
)

// Every behaviour is shown on both kinds of filesystem.
func eachKind(t *testing.T, test func(t *testing.T, f *FS)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, open(t, filepath.Join(t.TempDir(), "secrets"), k)) })
	}
}

func open(t testing.TB, root string, use ...kind) *FS {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests mount filesystems: run them with sudo")
	}
	f, err := Open(root, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.kinds = use
	t.Cleanup(func() {
		f.Close()
		for _, e := range readDir(t, root) {
			for unix.Unmount(filepath.Join(root, e), unix.MNT_DETACH) == nil {
			}
		}
	})
	return f
}

func readDir(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func plaintext(t *testing.T, value string) *seal.Plaintext {
	t.Helper()
	p, err := seal.PlaintextFrom([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Destroy)
	return p
}

func mount(t *testing.T, f *FS, task string, sizes ...uint64) string {
	t.Helper()
	dir, err := f.Mount(task, Capacity(sizes...))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, f *FS, task string, file File, value string) {
	t.Helper()
	if err := f.Write(task, file, only(plaintext(t, value))); err != nil {
		t.Fatal(err)
	}
}

func only(p *seal.Plaintext) Value { return Value{Plaintext: p} }

// writeKeys writes a secret of several values, given as key, value, key, value.
func writeKeys(t *testing.T, f *FS, task string, file File, pairs ...string) {
	t.Helper()
	if err := f.Write(task, file, several(t, pairs...)...); err != nil {
		t.Fatal(err)
	}
}

func several(t *testing.T, pairs ...string) (values []Value) {
	for i := 0; i < len(pairs); i += 2 {
		values = append(values, Value{pairs[i], plaintext(t, pairs[i+1])})
	}
	return values
}

func mustRead(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

func TestTmpfsNeverSwapsAndHasSafeOptions(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "secrets"), kinds[0])
	mount(t, f, "task", 10)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, filepath.Join(f.root, "task")) {
			for _, option := range []string{"noswap", "nosuid", "nodev", "noexec", "- tmpfs"} {
				if !strings.Contains(line, option) {
					t.Errorf("no %s in %s", option, line)
				}
			}
			return
		}
	}
	t.Fatal("not mounted")
}

func TestFilesHoldExactBytesAndAreReadableByOtherUsers(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		old := syscall.Umask(0o077)
		defer syscall.Umask(old)
		dir := mount(t, f, "task", 100, 100, 100, 100)
		binary := "\x00\xff\n\r line\x00"
		write(t, f, "task", File{Target: "db-password"}, binary)
		write(t, f, "task", File{Target: "pg/password"}, "nested")
		writeKeys(t, f, "task", File{Target: "tls", Mode: 0o400, UID: 999, GID: 998}, "cert", "c", "key", "k")
		write(t, f, "task", File{Target: "empty"}, "")
		mustRead(t, filepath.Join(dir, "db-password"), binary)
		mustRead(t, filepath.Join(dir, "pg/password"), "nested")
		mustRead(t, filepath.Join(dir, "tls/cert"), "c")
		mustRead(t, filepath.Join(dir, "empty"), "")

		for path, want := range map[string]fs.FileMode{
			"": 0o555, "db-password": 0o444, "pg": 0o555, "pg/password": 0o444, "tls": 0o555, "tls/key": 0o400,
		} {
			info, err := os.Stat(filepath.Join(dir, path))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%q has mode %v (%v), want %v", path, info.Mode().Perm(), err, want)
			}
		}
		info, _ := os.Stat(filepath.Join(dir, "tls/key"))
		if s := info.Sys().(*syscall.Stat_t); s.Uid != 999 || s.Gid != 998 {
			t.Errorf("tls/key belongs to %d:%d", s.Uid, s.Gid)
		}
		if names := readDir(t, filepath.Join(f.root, "task", stagingDir)); len(names) != 0 {
			t.Errorf("left in staging: %v", names)
		}
	})
}

// A container sees the directory through a read-only bind mount in its own
// mount namespace, as another user.
func TestContainerOfAnotherUserSeesReplacedAndRemovedFiles(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := mount(t, f, "task", 100)
		write(t, f, "task", File{Target: "token"}, "one")
		script := `mount --bind "$0" /mnt && mount -o remount,bind,ro /mnt && cd /mnt &&
			setpriv --reuid 1234 --regid 1234 --clear-groups sh -c '
				cat token; echo; read _; cat token; echo; read _; ls -A; echo x 2>/dev/null >new || echo refused'`
		cmd := exec.Command("unshare", "-m", "sh", "-ec", script, dir)
		cmd.Stderr = os.Stderr
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatalf("%v: apt-get install util-linux", err)
		}
		line := func() string {
			var b []byte
			for one := make([]byte, 1); ; {
				if n, err := out.Read(one); n == 0 || err != nil || one[0] == '\n' {
					return string(b)
				}
				b = append(b, one[0])
			}
		}
		if got := line(); got != "one" {
			t.Fatalf("the container reads %q", got)
		}
		write(t, f, "task", File{Target: "token"}, "two!")
		fmt.Fprintln(in)
		if got := line(); got != "two!" {
			t.Fatalf("after an update the container reads %q", got)
		}
		if err := f.Remove("task", "token"); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(in)
		if got := line(); got != "refused" {
			t.Fatalf("after the removal the container sees %q", got)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReaderOfAReplacedFileKeepsTheOldValueAndOfARemovedOneReadsZeros(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := mount(t, f, "task", 10)
		write(t, f, "task", File{Target: "a"}, "old value")
		reader, err := os.Open(filepath.Join(dir, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		write(t, f, "task", File{Target: "a"}, "new value")
		got := make([]byte, 9)
		if _, err := reader.ReadAt(got, 0); err != nil || string(got) != "old value" {
			t.Fatalf("a reader of the replaced file reads %q (%v)", got, err)
		}
		current, err := os.Open(filepath.Join(dir, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer current.Close()
		if err := f.Remove("task", "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := current.ReadAt(got, 0); err != nil || !bytes.Equal(got, make([]byte, 9)) {
			t.Fatalf("a reader of the removed file reads %q (%v)", got, err)
		}
	})
}

// A reader that looks all the time sees the files of one value together, and
// never none, whatever becomes of what.
func TestSeveralFilesAreReplacedTogether(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := filepath.Join(mount(t, f, "task", 1<<20), "tls") // what is still read takes room
		writeKeys(t, f, "task", File{Target: "tls"}, "cert", "0", "key", "0")
		stop := make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				opened, err := os.OpenRoot(dir)
				if err != nil {
					t.Errorf("for a moment nothing was there: %v", err)
					return
				}
				cert, err1 := opened.ReadFile("cert")
				key, err2 := opened.ReadFile("key")
				opened.Close()
				// The old directory may be emptied while it is read.
				if err1 == nil && err2 == nil && string(cert) != string(key) {
					t.Errorf("cert %q with key %q", cert, key)
					return
				}
			}
		})
		for i := range 300 {
			v := fmt.Sprint(i)
			writeKeys(t, f, "task", File{Target: "tls"}, "cert", v, "key", v)
		}
		close(stop)
		reader.Wait()
		if names := readDir(t, filepath.Join(f.root, "task", stagingDir)); len(names) != 0 {
			t.Errorf("left in staging: %v", names)
		}
	})
}

func TestAFileBecomesADirectoryAndBack(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := mount(t, f, "task", 10, 10, 10)
		write(t, f, "task", File{Target: "db"}, "one")
		writeKeys(t, f, "task", File{Target: "db"}, "user", "ann", "password", "two")
		mustRead(t, filepath.Join(dir, "db/password"), "two")
		writeKeys(t, f, "task", File{Target: "db"}, "token", "three")
		if got := readDir(t, filepath.Join(dir, "db")); len(got) != 1 {
			t.Errorf("a key that is no more is still there: %v", got)
		}
		write(t, f, "task", File{Target: "db"}, "four")
		mustRead(t, filepath.Join(dir, "db"), "four")
	})
}

func TestMountAgainMakesRoomForMore(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := mount(t, f, "task", 10)
		write(t, f, "task", File{Target: "a"}, "small")
		large := strings.Repeat("x", 1<<20)
		if err := f.Write("task", File{Target: "a"}, only(plaintext(t, large))); !errors.Is(err, ErrFull) {
			t.Fatalf("a value that is too large: %v", err)
		}
		mustRead(t, filepath.Join(dir, "a"), "small")
		for range 3 { // and no more each time
			mount(t, f, "task", 1<<20)
			write(t, f, "task", File{Target: "a"}, large)
		}
		mustRead(t, filepath.Join(dir, "a"), large)
		for i := range 8 {
			if err := f.Write("task", File{Target: fmt.Sprint(i)}, only(plaintext(t, large))); errors.Is(err, ErrFull) {
				return
			}
		}
		t.Error("it grew without bounds")
	})
}

func TestRemoveTakesAllKeysAndEmptyDirectories(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := mount(t, f, "task", 10, 10, 10, 10)
		writeKeys(t, f, "task", File{Target: "tls"}, "cert", "c", "key", "k")
		write(t, f, "task", File{Target: "app/a/one"}, "1")
		write(t, f, "task", File{Target: "app/two"}, "2")
		for _, target := range []string{"tls", "app/a/one", "never-there"} {
			if err := f.Remove("task", target); err != nil {
				t.Fatal(err)
			}
		}
		if got := readDir(t, dir); len(got) != 1 || got[0] != "app" {
			t.Fatalf("left: %v", got)
		}
		if got := readDir(t, filepath.Join(dir, "app")); len(got) != 1 || got[0] != "two" {
			t.Fatalf("left in app: %v", got)
		}
		if err := f.Remove("no-such-task", "tls"); err != nil {
			t.Errorf("removing from a task without secrets: %v", err)
		}
	})
}

func TestHundredSecretsOfOneMegabyteFitExactly(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		const size = 1 << 20
		sizes := make([]uint64, 100)
		for i := range sizes {
			sizes[i] = size
		}
		dir := mount(t, f, "task", sizes...)
		p := plaintext(t, strings.Repeat("s", size))
		for i := range sizes {
			if err := f.Write("task", File{Target: fmt.Sprintf("secret-%d", i)}, only(p)); err != nil {
				t.Fatalf("secret %d: %v", i, err)
			}
		}
		if err := f.Write("task", File{Target: "secret-7"}, only(p)); err != nil {
			t.Fatalf("replace one: %v", err)
		}
		write(t, f, "task", File{Target: "the-spare"}, strings.Repeat("s", size))
		if err := f.Write("task", File{Target: "too-much"}, only(plaintext(t, "x"))); !errors.Is(err, ErrFull) {
			t.Fatalf("a byte more than fits: %v", err)
		}
		if err := f.Write("task", File{Target: "secret-7"}, only(p)); !errors.Is(err, ErrFull) {
			t.Fatalf("a replacement that does not fit: %v", err)
		}
		info, err := os.Stat(filepath.Join(dir, "secret-7"))
		if err != nil || info.Size() != size {
			t.Fatalf("the file whose replacement did not fit: %v %v", info, err)
		}
		if names := readDir(t, filepath.Join(f.root, "task", stagingDir)); len(names) != 0 {
			t.Errorf("left in staging: %v", names)
		}
	})
}

func TestMountAgainKeepsWhatIsThere(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		mount(t, f, "task", 10)
		write(t, f, "task", File{Target: "a"}, "kept")
		mustRead(t, filepath.Join(mount(t, f, "task", 10), "a"), "kept")
	})
}

func TestRestartKeepsLiveTasksAndWipesTheRest(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		liveDir := mount(t, f, "live", 10)
		deadDir := mount(t, f, "dead", 10)
		write(t, f, "live", File{Target: "a"}, "kept")
		write(t, f, "dead", File{Target: "a"}, "canary")
		leftover, err := os.Open(filepath.Join(deadDir, "a"))
		if err != nil {
			t.Fatal(err)
		}
		defer leftover.Close()
		// A crash between making the directory and mounting on it.
		if err := os.Mkdir(filepath.Join(f.root, "crashed"), 0o700); err != nil {
			t.Fatal(err)
		}
		f.Close()

		again, err := Open(f.root, []string{"live"}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(again.Close)
		if got := readDir(t, f.root); len(got) != 1 || got[0] != "live" {
			t.Fatalf("after the restart: %v", got)
		}
		got := make([]byte, 6)
		if _, err := leftover.ReadAt(got, 0); err != nil || !bytes.Equal(got, make([]byte, 6)) {
			t.Errorf("the wiped task's file still reads %q (%v)", got, err)
		}
		mustRead(t, filepath.Join(liveDir, "a"), "kept")
		// Without Mount, as when a secret is deleted right after the restart.
		if err := again.Remove("live", "a"); err != nil {
			t.Fatal(err)
		}
		if got := readDir(t, liveDir); len(got) != 0 {
			t.Errorf("not removed: %v", got)
		}
		if err := again.Wipe("live"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWipeIsIdempotentAndEmptiesWhatIsStillBound(t *testing.T) {
	eachKind(t, func(t *testing.T, f *FS) {
		dir := mount(t, f, "task", 10)
		write(t, f, "task", File{Target: "pg/a"}, "value")
		bound := t.TempDir()
		if err := unix.Mount(dir, bound, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(bound, unix.MNT_DETACH)
		for range 2 {
			if err := f.Wipe("task"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(filepath.Join(bound, "pg/a")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a container that is still there reads %q (%v)", got, err)
		}
		if got := readDir(t, f.root); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
		if err := f.Write("task", File{Target: "a"}, only(plaintext(t, "x"))); !errors.Is(err, ErrNotMounted) {
			t.Errorf("writing after the wipe: %v", err)
		}
	})
}

func TestNothingIsWrittenToADirectoryThatIsNotMemory(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "secrets"), kinds...)
	plain := filepath.Join(f.root, "plain")
	swapping := filepath.Join(f.root, "swapping")
	for _, dir := range []string{plain, swapping} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Write("plain", File{Target: "a"}, only(plaintext(t, "canary"))); !errors.Is(err, ErrNotMounted) {
		t.Errorf("writing to a plain directory: %v", err)
	}
	// A tmpfs without noswap is no better than a disk.
	if err := unix.Mount("tmpfs", swapping, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := f.Write("swapping", File{Target: "a"}, only(plaintext(t, "canary"))); err == nil {
		t.Error("wrote to a tmpfs that swaps")
	}
	if _, err := f.Mount("swapping", 4096); err == nil {
		t.Error("took over a tmpfs that swaps")
	}
	for _, dir := range []string{plain, swapping} {
		if got := readDir(t, dir); len(got) != 0 {
			t.Errorf("written to %s: %v", dir, got)
		}
	}
}

func TestKernelWithoutEitherKindIsRefused(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "secrets"),
		kind{name: "tmpfs", options: func(fsfd int, _ uint64) error {
			return unix.FsconfigSetFlag(fsfd, "no-such-option")
		}},
		kind{name: "no-such-filesystem"})
	_, err := f.Mount("task", 4096)
	if err == nil || !strings.Contains(err.Error(), "could reach swap") {
		t.Fatalf("Mount: %v", err)
	}
	// With ramfs in the second place the same kernel is good enough.
	f.kinds[1] = kinds[1]
	mount(t, f, "task", 10)
	write(t, f, "task", File{Target: "a"}, "x")
}

func TestBadTargetsAreRefused(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "secrets"), kinds...)
	mount(t, f, "task", 10)
	for _, file := range []File{
		{Target: ""}, {Target: "."}, {Target: "/etc/passwd"}, {Target: "../../escape"}, {Target: "a/../../b"},
	} {
		if err := f.Write("task", file, only(plaintext(t, "x"))); err == nil {
			t.Errorf("wrote to %+v", file)
		}
		if f.Remove("task", file.Target) == nil {
			t.Errorf("removed %q", file.Target)
		}
	}
	for _, keys := range [][]string{{"b/c", "1"}, {"..", "1"}, {"\x00", "1"}, {"a", "1", "a", "2"}, {"a", "1", "", "2"}, {}} {
		if err := f.Write("task", File{Target: "a"}, several(t, keys...)...); err == nil {
			t.Errorf("wrote the keys %q", keys)
		}
	}
	for _, task := range []string{"", "..", "a/b"} {
		if _, err := f.Mount(task, 4096); err == nil {
			t.Errorf("mounted for task %q", task)
		}
		if f.Wipe(task) == nil {
			t.Errorf("wiped task %q", task)
		}
	}
	write(t, f, "task", File{Target: "file"}, "x")
	if err := f.Write("task", File{Target: "file/below"}, only(plaintext(t, "x"))); err == nil {
		t.Error("wrote below a file")
	}
}

func TestManyTasksAtOnceKeepApart(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "secrets"), kinds...)
	var tasks sync.WaitGroup
	for i := range 20 {
		tasks.Go(func() {
			task := fmt.Sprintf("task-%d", i)
			dir, err := f.Mount(task, Capacity(10))
			if err != nil {
				t.Error(err)
				return
			}
			p, err := seal.PlaintextFrom([]byte(task))
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Destroy()
			if err := f.Write(task, File{Target: "name"}, only(p)); err != nil {
				t.Error(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "name")); err != nil || string(got) != task {
				t.Errorf("%s reads %q, %v", task, got, err)
			}
			if err := f.Wipe(task); err != nil {
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if got := readDir(t, f.root); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestUnexpectedFilesStopAWipe(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "secrets"), kinds...)
	stray := filepath.Join(f.root, "task", "not-ours")
	if err := os.MkdirAll(filepath.Dir(stray), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stray, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Wipe("task"); err == nil || !strings.Contains(err.Error(), filepath.Join(f.root, "task")) {
		t.Errorf("Wipe: %v", err)
	}
	mustRead(t, stray, "keep")
}

func FuzzTargetsStayBelowFiles(f *testing.F) {
	f.Add("db-password", "")
	f.Add("pg/password", "key")
	f.Add("../../etc", "..")
	f.Add("a//b/./c", "\x00")
	f.Fuzz(func(t *testing.T, target, key string) {
		name, err := File{Target: target}.path()
		if err != nil || checkKeys([]Value{{Key: key}}) != nil {
			return
		}
		if key != "" {
			name += "/" + key
		}
		if !filepath.IsLocal(name) || !strings.HasPrefix(name, filesDir+"/") || filepath.Clean(name) != name {
			t.Errorf("%q, %q becomes %q", target, key, name)
		}
	})
}
