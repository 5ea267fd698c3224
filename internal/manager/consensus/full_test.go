package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/manager/store"
)

// smallDisk is a filesystem of that many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("mount a small disk (this test needs root: run it under sudo): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves that many bytes free.
func fill(t *testing.T, dir string, leave int64) (path string) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "filler")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(fs.Bavail)*fs.Bsize-leave); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestAFullDiskTakesDeletionsOnlyAndRecovers(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 96<<20)
	o := options(filepath.Join(disk, "data"))
	c := start(t, o)
	value := strings.Repeat("v", 100<<10)
	for i := range 20 {
		mustPropose(t, c, put(fmt.Sprintf("secret/%02d", i), value))
	}

	filler := fill(t, disk, 1<<20)
	ctx := context.Background()
	if _, err := c.Propose(ctx, put("secret/refused", value)); !errors.Is(err, store.ErrDiskFull) {
		t.Fatalf("a write on a full disk gave %v", err)
	}
	if !c.DiskFull() {
		t.Error("the disk does not count as full")
	}
	if err := c.raft.Snapshot().Error(); err == nil || !strings.Contains(err.Error(), "has to wait") {
		t.Errorf("a snapshot on a full disk gave %v", err)
	}
	// Whatever fills the disk goes on: what deletions need is not lying about
	// for it to take.
	rest := fill(t, disk, 0)
	for i := range 10 {
		mustPropose(t, c, del(fmt.Sprintf("secret/%02d", i)))
	}
	if err := os.Remove(rest); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Propose(ctx, put("secret/refused", value)); !errors.Is(err, store.ErrDiskFull) {
		t.Fatalf("a write on a full disk gave %v", err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	mustPropose(t, c, put("secret/again", "works"))
	if c.DiskFull() {
		t.Error("the disk still counts as full")
	}
	stop(t, c)

	c = start(t, o)
	for i := range 20 {
		expected := value
		if i < 10 {
			expected = ""
		}
		want(t, c, fmt.Sprintf("secret/%02d", i), expected)
	}
	want(t, c, "secret/again", "works")
	want(t, c, "secret/refused", "")
}

// Writers that hurry while something else fills the disk are refused before
// Raft notices, and nothing that was acknowledged is lost.
func TestWritersRunIntoAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 128<<20)
	o := options(filepath.Join(disk, "data"))
	o.SnapshotEvery = 64
	c := start(t, o)
	value := strings.Repeat("v", 200<<10)
	type written struct {
		keys []string
		err  error
	}
	done := make(chan written)
	const clients = 8
	for client := range clients {
		go func() {
			var w written
			for i := 0; w.err == nil; i++ {
				key := fmt.Sprintf("secret/%d-%d", client, i)
				if _, w.err = c.Propose(context.Background(), put(key, value)); w.err == nil {
					w.keys = append(w.keys, key)
				}
			}
			done <- w
		}()
	}
	var acknowledged []string
	for range clients {
		w := <-done
		acknowledged = append(acknowledged, w.keys...)
		if !errors.Is(w.err, store.ErrDiskFull) || errors.Is(w.err, store.ErrUnknown) {
			t.Errorf("a writer ended with %v", w.err)
		}
	}
	if !c.IsLeader() {
		t.Error("the manager lost its leadership")
	}
	stop(t, c)
	c = start(t, o)
	for _, key := range acknowledged {
		want(t, c, key, value)
	}
	mustPropose(t, c, del(acknowledged[0]))
}

// Should the log itself meet a full disk, it goes on once there is space, from
// the last entry that was stored for sure.
func TestTheLogGoesOnAfterAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 16<<20)
	dir := filepath.Join(disk, "raft")
	l, err := openLog(dir, minSegment, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 300<<10)
	last := uint64(0)
	store := func(n int) error {
		entries := make([]*raft.Log, n)
		for i := range entries {
			entries[i] = &raft.Log{Index: last + uint64(i) + 1, Term: 1, Data: data}
		}
		if err := l.StoreLogs(entries); err != nil {
			return err
		}
		last += uint64(n)
		return nil
	}
	if err := store(3); err != nil {
		t.Fatal(err)
	}
	filler := fill(t, disk, 0)
	var full error
	for range 20 {
		if full = store(2); full != nil {
			break
		}
	}
	if !errors.Is(full, syscall.ENOSPC) {
		t.Fatalf("got %v", full)
	}
	_ = store(1) // a smaller one may still fit into what was set aside
	if got, err := l.LastIndex(); err != nil || got != last {
		t.Errorf("the last entry is %d, %v, not %d", got, err, last)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := store(2); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if l, err = openLog(dir, minSegment, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for i := uint64(1); i <= last; i++ {
		var entry raft.Log
		if err := l.GetLog(i, &entry); err != nil || len(entry.Data) != len(data) {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

// A write whose sync failed may be in the files after all. Raft gives its place
// to another entry.
func TestEntriesThatFailedGiveWay(t *testing.T) {
	t.Parallel()
	l, err := openLog(t.TempDir(), minSegment, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for i := uint64(1); i <= 5; i++ {
		if err := l.StoreLog(&raft.Log{Index: i, Term: 1, Data: []byte("old")}); err != nil {
			t.Fatal(err)
		}
	}
	l.last, l.broken = 2, true // as if the last three had not been acknowledged
	if err := l.StoreLog(&raft.Log{Index: 3, Term: 2, Data: []byte("new")}); err != nil {
		t.Fatal(err)
	}
	var entry raft.Log
	if err := l.GetLog(3, &entry); err != nil || string(entry.Data) != "new" {
		t.Errorf("entry 3 is %q, %v", entry.Data, err)
	}
	if err := l.GetLog(4, &entry); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry 4: %v", err)
	}
}

// What is under way counts: together, admitted transactions always fit.
func TestSpaceIsPromisedOnce(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 64<<20)
	s, err := newSpace(disk, testReserve, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	free, err := s.free()
	if err != nil {
		t.Fatal(err)
	}
	half := (free - s.low) / copies / 2
	var releases []func()
	for range 2 {
		release, err := s.admit(half, false)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	if _, err := s.admit(half, false); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("a third was promised the same space: %v", err)
	}
	if s.isFull() {
		t.Error("the disk counts as full, though it is not")
	}
	releases[0]()
	if _, err := s.admit(half, false); err != nil {
		t.Errorf("what was given back is not free: %v", err)
	}
}

// A commit to warren.db that fails is repeated, not skipped.
func TestAFailedCommitIsRepeated(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 8<<20)
	s := &space{dir: disk, log: slog.New(slog.DiscardHandler)}
	m, err := newMachine(t.Context(), filepath.Join(disk, "warren.db"), "lineage", s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	filler := fill(t, disk, 0)
	entry := &raft.Log{Index: 1, Term: 1, Type: raft.LogCommand, Data: marshal(t, put("secret/a", strings.Repeat("v", 1<<20)))}
	applied := make(chan any)
	go func() { applied <- m.Apply(entry) }()
	select {
	case response := <-applied:
		t.Fatalf("applied on a full disk: %v", response)
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if response := <-applied; response != nil {
		t.Errorf("got %v", response)
	}
	v, err := m.view()
	if err != nil {
		t.Fatal(err)
	}
	if row, version := v.Get([]byte("secret/a")); len(row) != 1<<20 || version != 1 {
		t.Errorf("%d bytes at version %d", len(row), version)
	}
	v.Close()
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAStopEndsACommitThatKeepsFailing(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 8<<20)
	stopping, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, err := newMachine(stopping, filepath.Join(disk, "warren.db"), "lineage", &space{dir: disk}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, disk, 0)
	applied := make(chan any)
	for i := range uint64(2) {
		entry := &raft.Log{Index: i + 1, Term: 1, Type: raft.LogCommand, Data: marshal(t, put("secret/a", strings.Repeat("v", 1<<20)))}
		go func() { applied <- m.Apply(entry) }()
		cancel()
		if response := <-applied; response != errStopped {
			t.Errorf("got %v", response)
		}
	}
	if m.applied.Load() != 0 {
		t.Error("an entry that was not applied counts as applied")
	}
	if err := m.db.Close(); err != nil {
		t.Fatal(err)
	}
}
