package consensus

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// crashed is a copy of a directory in use: what a killed process leaves behind.
func crashed(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func database(dir string) string { return filepath.Join(dir, "warren.db") }

// history writes a value, stops, copies warren.db away, starts, writes another
// value, and leaves a running manager.
func history(t *testing.T) (c *Consensus, dir, backup string) {
	t.Helper()
	dir, backup = t.TempDir(), filepath.Join(t.TempDir(), "warren.db.backup")
	c = start(t, options(dir))
	mustPropose(t, c, put("secret/a", "before"))
	stop(t, c)
	copyFile(t, database(dir), backup)
	c = start(t, options(dir))
	mustPropose(t, c, put("secret/a", "after"))
	mustPropose(t, c, put("secret/b", "after"))
	return c, dir, backup
}

func TestARestoredCopyWins(t *testing.T) {
	t.Parallel()
	c, dir, backup := history(t)
	last, _ := c.logs.LastIndex()
	term := c.raft.CurrentTerm()
	stop(t, c)
	copyFile(t, backup, database(dir))

	c = start(t, options(dir))
	want(t, c, "secret/a", "before")
	want(t, c, "secret/b", "")
	if index := mustPropose(t, c, put("secret/c", "new")); index <= last {
		t.Errorf("index %d is given a second time, the old history went to %d", index, last)
	}
	if c.raft.CurrentTerm() <= term {
		t.Errorf("term %d is not beyond the old history's %d", c.raft.CurrentTerm(), term)
	}
	stop(t, c)
	c = start(t, options(dir))
	want(t, c, "secret/a", "before")
	want(t, c, "secret/c", "new")
	if !exists(filepath.Join(dir, "raft.replaced")) {
		t.Error("the replaced history is not kept")
	}
}

func TestTheSameCopyCanBeRestoredTwice(t *testing.T) {
	t.Parallel()
	c, dir, backup := history(t)
	for range 2 {
		stop(t, c)
		copyFile(t, backup, database(dir))
		c = start(t, options(dir))
		want(t, c, "secret/a", "before")
		mustPropose(t, c, put("secret/a", "after"))
	}
}

func TestARestoreAfterAKillWins(t *testing.T) {
	t.Parallel()
	_, dir, backup := history(t)
	dir = crashed(t, dir)
	copyFile(t, backup, database(dir))
	want(t, start(t, options(dir)), "secret/a", "before")
}

func TestARestoreAfterACrashOfTheMachineWins(t *testing.T) {
	t.Parallel()
	_, dir, backup := history(t)
	dir = crashed(t, dir)
	copyFile(t, backup, database(dir))
	o := options(dir)
	o.BootID = "boot-2"
	want(t, start(t, o), "secret/a", "before")
}

func TestACopyRestoredOnAnEmptyMachineWins(t *testing.T) {
	t.Parallel()
	_, _, backup := history(t)
	dir := t.TempDir()
	copyFile(t, backup, database(dir))
	o := options(dir)
	o.NodeID = "node-b"
	c := start(t, o)
	want(t, c, "secret/a", "before")
	mustPropose(t, c, put("secret/a", "later"))
	stop(t, c)
	want(t, start(t, o), "secret/a", "later")
}

func TestCopyingTheNewestBackChangesNothing(t *testing.T) {
	t.Parallel()
	c, dir, _ := history(t)
	stop(t, c)
	newest := filepath.Join(t.TempDir(), "newest")
	copyFile(t, database(dir), newest)
	copyFile(t, newest, database(dir))
	c = start(t, options(dir))
	want(t, c, "secret/a", "after")
	if exists(filepath.Join(dir, "raft.replaced")) {
		t.Error("the newest copy was taken for a restore")
	}
}

// A restore that is killed anywhere goes on at the next start.
func TestAKilledRestoreGoesOn(t *testing.T) {
	t.Parallel()
	c, dir, backup := history(t)
	stop(t, c)
	copyFile(t, backup, database(dir))
	raftDir := filepath.Join(dir, "raft")
	for name, kill := range map[string]func(dir string){
		"while the new directory is made": func(string) {
			os.MkdirAll(raftDir+".new/snapshots", 0o700)
		},
		"between the two renames": func(string) {
			stop(t, start(t, options(dir))) // a whole restore …
			os.Rename(raftDir, raftDir+".new")
			os.RemoveAll(database(dir))
			copyFile(t, backup, database(dir)) // … taken half back
		},
	} {
		t.Run(name, func(t *testing.T) {
			kill(dir)
			c := start(t, options(dir))
			want(t, c, "secret/a", "before")
			if exists(raftDir + ".new") {
				t.Error("raft.new is left behind")
			}
			stop(t, c)
		})
	}
}

func TestAKillIsNoRestore(t *testing.T) {
	t.Parallel()
	_, dir, _ := history(t)
	dir = crashed(t, dir)
	c := start(t, options(dir))
	want(t, c, "secret/a", "after")
	want(t, c, "secret/b", "after")
	if exists(filepath.Join(dir, "raft.replaced")) {
		t.Error("a kill was taken for a restore")
	}
}

// After a crash of the machine the pages of warren.db may be of any age.
func TestACrashOfTheMachineLosesNothing(t *testing.T) {
	t.Parallel()
	for _, snapshot := range []bool{false, true} {
		dir, older := busy(t, snapshot)
		for name, damage := range map[string]func(older, newer []byte) []byte{
			"nothing was dropped":    func(_, newer []byte) []byte { return newer },
			"all was dropped":        func(older, _ []byte) []byte { return older },
			"half the pages dropped": mix,
			"a row half written": func(_, newer []byte) []byte {
				return bytes.ReplaceAll(newer, []byte(strings.Repeat("c", 1000)), make([]byte, 1000))
			},
			"garbage":   func(_, newer []byte) []byte { return bytes.Repeat([]byte("x"), len(newer)) },
			"cut short": func(_, newer []byte) []byte { return newer[:len(newer)/2] },
			"empty":     func([]byte, []byte) []byte { return nil },
		} {
			after := crashed(t, dir)
			newer, err := os.ReadFile(database(after))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(database(after), damage(older, newer), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := options(after)
				o.BootID = "boot-2"
				c := start(t, o)
				for _, key := range letters {
					want(t, c, "secret/"+key, strings.Repeat(key, 5000))
				}
				want(t, c, "secret/last", "acknowledged")
			})
		}
	}
}

var letters = strings.Split("abcdefghij", "")

// busy is the directory of a running manager that wrote a lot since it started,
// and its warren.db as it was at first.
func busy(t *testing.T, snapshot bool) (dir string, older []byte) {
	t.Helper()
	dir = t.TempDir()
	c := start(t, options(dir))
	older, err := os.ReadFile(database(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range letters {
		mustPropose(t, c, put("secret/"+key, strings.Repeat(key, 5000)))
	}
	if snapshot {
		if err := c.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
	}
	mustPropose(t, c, put("secret/last", "acknowledged"))
	return dir, older
}

// mix has every other page of the older file.
func mix(older, newer []byte) []byte {
	mixed := bytes.Clone(newer)
	for at := 0; at+4096 <= min(len(older), len(newer)); at += 2 * 4096 {
		copy(mixed[at:at+4096], older[at:])
	}
	return mixed
}

func TestADamagedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	c, stopped, _ := history(t)
	stop(t, c)
	for name, damage := range map[string]func(raw []byte) []byte{
		"a byte changed": func(raw []byte) []byte {
			raw = bytes.Clone(raw)
			raw[bytes.Index(raw, []byte("after"))] ^= 1
			return raw
		},
		"cut short":   func(raw []byte) []byte { return raw[:len(raw)-4096] },
		"cut to half": func(raw []byte) []byte { return raw[:len(raw)/2] },
		"garbage":     func(raw []byte) []byte { return bytes.Repeat([]byte("x"), len(raw)) },
		"a text":      func([]byte) []byte { return []byte("hello") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := crashed(t, stopped)
			raw, err := os.ReadFile(database(dir))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(database(dir), damage(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(options(dir))
			if err == nil || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), "mv "+database(dir)) {
				t.Fatalf("got %v", err)
			}
			// What the error says to type works.
			if err := os.Rename(database(dir), database(dir)+".damaged"); err != nil {
				t.Fatal(err)
			}
			c := start(t, options(dir))
			want(t, c, "secret/a", "after")
			want(t, c, "secret/b", "after")
		})
	}
}

func TestACopyMadeWhileRunningIsRefused(t *testing.T) {
	t.Parallel()
	c, dir, _ := history(t)
	hot := filepath.Join(t.TempDir(), "hot")
	copyFile(t, database(dir), hot)
	mustPropose(t, c, put("secret/b", "later"))
	stop(t, c)
	copyFile(t, hot, database(dir))
	if _, err := Open(options(dir)); err == nil || !strings.Contains(err.Error(), "not as Warren left it") {
		t.Errorf("got %v", err)
	}
}

func TestALogWithoutItsMarkIsRefused(t *testing.T) {
	t.Parallel()
	c, dir, _ := history(t)
	stop(t, c)
	if err := os.Remove(filepath.Join(dir, "raft", "run.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(dir)); err == nil || !strings.Contains(err.Error(), "no run.json") {
		t.Errorf("got %v", err)
	}
}

// However a start is killed while it draws its lineage, the next one goes on.
func TestAStartThatWasKilledIsNoRestore(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]bool{"before warren.db was written": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			c, dir, _ := history(t)
			stop(t, c)
			r, err := readRun(filepath.Join(dir, "raft"))
			if err != nil {
				t.Fatal(err)
			}
			r.Clean, r.Sum = false, ""
			if next {
				r.Lineage, r.Next = "AN-OLDER-ONE", r.Lineage
			} else {
				r.Next = "NEVER-WRITTEN"
			}
			if err := r.write(filepath.Join(dir, "raft")); err != nil {
				t.Fatal(err)
			}
			c = start(t, options(dir))
			want(t, c, "secret/b", "after")
			if exists(filepath.Join(dir, "raft.replaced")) {
				t.Error("a killed start was taken for a restore")
			}
		})
	}
}

func TestAFirstStartThatWasKilledCanBeRepeated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := Open(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	half := crashed(t, dir)
	stop(t, c)
	if err := os.Truncate(database(half), 0); err != nil {
		t.Fatal(err)
	}
	c = start(t, options(half))
	mustPropose(t, c, put("secret/a", "x"))
	want(t, c, "secret/a", "x")
}
