package consensus

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestAManagerThatIsLeftGoesOnAlone(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	for _, key := range []string{"secret/a", "secret/b"} {
		if _, err := c.Propose(t.Context(), put(key, key)); err != nil {
			t.Fatal(err)
		}
	}
	// A second manager that never comes: its vote is missing from now on.
	if err := c.raft.AddVoter("gone", "gone", 0, 0).Error(); err != nil && !errors.Is(err, raft.ErrLeadershipLost) {
		t.Fatal(err)
	}
	dir := c.dir
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(dir)
	var told Standing
	declined := errors.New("no")
	if err := Recover(o, func(s Standing, _ string) error { told = s; return declined }); !errors.Is(err, declined) {
		t.Fatalf("recovered although nobody agreed: %v", err)
	}
	if told.LastIndex == 0 || len(told.Managers) != 2 || time.Since(told.LastAt) > time.Minute {
		t.Errorf("it says of itself: %+v", told)
	}
	if err := Recover(o, func(Standing, string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	again, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := again.WaitLeading(ctx); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"secret/a", "secret/b"} {
		if !has(t, again, key) {
			t.Errorf("%s is lost", key)
		}
	}
	if _, err := again.Propose(ctx, put("secret/c", "c")); err != nil {
		t.Errorf("nothing can be written: %v", err)
	}
	if era, blank := again.Era(); era == "" || blank {
		t.Errorf("era %q, blank %v: the others could still take part", era, blank)
	}
	if _, err := os.Stat(again.raftDir() + ".replaced"); err != nil {
		t.Errorf("the log before is gone: %v", err)
	}
}

func TestNothingToRecoverIsRefused(t *testing.T) {
	t.Parallel()
	if err := Recover(options(t.TempDir()), func(Standing, string) error { return nil }); err == nil {
		t.Error("an empty directory was recovered")
	}
	c := start(t, options(t.TempDir()))
	if err := Recover(options(c.dir), func(Standing, string) error { return nil }); err == nil {
		t.Error("a running manager was recovered")
	}
}

func has(t *testing.T, c *Consensus, key string) bool {
	t.Helper()
	s, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, version := s.Get([]byte(key))
	return version != 0
}

func TestACopyIsTheStateAndHasNoName(t *testing.T) {
	t.Parallel()
	c := start(t, options(t.TempDir()))
	if _, err := c.Propose(t.Context(), put("secret/a", "a")); err != nil {
		t.Fatal(err)
	}
	f, index, err := c.Copy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if index != c.machine.applied.Load() {
		t.Errorf("it is of index %d, not %d", index, c.machine.applied.Load())
	}
	if _, err := os.Stat(f.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it has a name: %v", err)
	}
	other := t.TempDir() + "/warren.db"
	if err := writeFile(other, f); err != nil {
		t.Fatal(err)
	}
	err = Look(other, func(get func(string) []byte) error {
		if string(get("secret/a")) != "a" || get("secret/b") != nil {
			t.Error("it is not the state")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
