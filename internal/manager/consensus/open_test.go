package consensus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

const testReserve = 8 << 20

func options(dir string) Options {
	return Options{DataDir: dir, NodeID: "node-a", BootID: "boot-1", Logger: slog.New(slog.DiscardHandler), Reserve: testReserve}
}

// start opens a directory, makes a cluster of it if it is none, and waits until
// it leads.
func start(t testing.TB, o Options) *Consensus {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if done, err := c.Bootstrapped(); err != nil {
		t.Fatal(err)
	} else if !done {
		if err := c.Bootstrap(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.WaitLeading(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func stop(t testing.TB, c *Consensus) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(key, value string) *storepb.Transaction {
	return &storepb.Transaction{Operations: []*storepb.Operation{{Key: []byte(key), Kind: &storepb.Operation_Put{Put: []byte(value)}}}}
}

func del(key string) *storepb.Transaction {
	return &storepb.Transaction{Reclaim: true, Operations: []*storepb.Operation{{Key: []byte(key), Kind: &storepb.Operation_Delete{Delete: true}}}}
}

func mustPropose(t testing.TB, c *Consensus, tx *storepb.Transaction) uint64 {
	t.Helper()
	index, err := c.Propose(context.Background(), tx)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func get(t testing.TB, c *Consensus, key string) (string, uint64) {
	t.Helper()
	s, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	row, version := s.Get([]byte(key))
	return string(row), version
}

func want(t testing.TB, c *Consensus, key, value string) {
	t.Helper()
	if got, _ := get(t, c, key); got != value {
		t.Errorf("%s is %q, not %q", key, got, value)
	}
}

func TestStateSurvivesAStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, options(dir))
	index := mustPropose(t, c, put("volume/a", "one"))
	stop(t, c)

	c = start(t, options(dir))
	value, version := get(t, c, "volume/a")
	if value != "one" || version != index {
		t.Errorf("got %q at version %d, not one at %d", value, version, index)
	}
	mustPropose(t, c, put("volume/a", "two"))
	want(t, c, "volume/a", "two")
}

func TestADirectoryIsUsedByOneProcessOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, options(dir))
	_, err := Open(options(dir))
	if err == nil || !strings.Contains(err.Error(), "in use by another warren process") {
		t.Errorf("got %v", err)
	}
	mustPropose(t, c, put("volume/a", "still works"))
}

func TestAnotherNodesDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	stop(t, start(t, o))
	o.NodeID = "node-b"
	_, err := Open(o)
	if err == nil || !strings.Contains(err.Error(), "belongs to the node node-a") {
		t.Errorf("got %v", err)
	}
	o.NodeID = "node-a"
	start(t, o)
}

func TestLargeEntriesBringSnapshotsForward(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	for range 2 {
		if m.overgrown() {
			t.Error("overgrown too early")
		}
		m.grown.Add(minSnapshotBytes / 2)
		if err := apply(t, m, marshal(t, put("secret/a", "x"))); err != nil {
			t.Fatal(err)
		}
	}
	if !m.overgrown() {
		t.Error("not overgrown")
	}
	s, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	if m.overgrown() {
		t.Error("a snapshot did not help")
	}
}

func TestABatchIsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	const clients = 64
	results := make(chan error, clients)
	for range clients {
		go func() {
			tx := put("name/one", "mine")
			tx.Guards = []*storepb.Guard{{Key: []byte("name/one")}}
			_, err := c.Propose(context.Background(), tx)
			results <- err
		}()
	}
	won := 0
	for range clients {
		if err := <-results; err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d clients got the same name", won)
	}
}

func TestTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	_, err := c.Propose(context.Background(), put("secret/a", strings.Repeat("x", store.MaxTransactionBytes)))
	if err == nil || !strings.Contains(err.Error(), store.ErrTooLarge.Error()) {
		t.Errorf("got %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"raft/run.json", "warren.db"} {
		t.Run(part, func(t *testing.T) {
			dir := t.TempDir()
			stop(t, start(t, options(dir)))
			if part == "warren.db" {
				raiseFormat(t, filepath.Join(dir, part))
			} else if err := os.WriteFile(filepath.Join(dir, part), []byte(`{"format":99}`), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(options(dir))
			if err == nil || !strings.Contains(err.Error(), "written by a newer Warren") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSnapshotsAreTakenAndUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options(dir)
	c := start(t, o)
	for i := range 50 {
		mustPropose(t, c, put(fmt.Sprintf("volume/%02d", i), "x"))
	}
	if err := c.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	mustPropose(t, c, put("volume/after", "x"))
	stop(t, c)
	if err := os.Remove(filepath.Join(dir, "warren.db")); err != nil {
		t.Fatal(err)
	}
	c = start(t, o)
	for i := range 50 {
		want(t, c, fmt.Sprintf("volume/%02d", i), "x")
	}
	want(t, c, "volume/after", "x")
}

func raiseFormat(t *testing.T, path string) {
	t.Helper()
	db, err := openDatabase(path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint64(nil, 99))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
