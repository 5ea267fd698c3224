package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/failpoint"
	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/control/rotate"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/testkit"
)

// A child is this test's binary as a manager with its own directory, which is
// killed at a failpoint.
const (
	childDir   = "WARREN_TEST_CHILD_DIR"
	childPoint = "WARREN_TEST_CHILD_FAILPOINT"
	// killValues is more than one batch has.
	killValues = 350
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := rotateIn(dir, os.Getenv(childPoint)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rotateIn carries out the rotation that was asked for in that directory.
func rotateIn(dir, point string) error {
	failpoint.Arm(func(name string) {
		if name == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	opened, err := openManager(dir)
	if err != nil {
		return err
	}
	defer opened.close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	failed := make(chan error, 2)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	go func() { failed <- opened.keeper.Run(ctx) }()
	go func() { failed <- rotate.New(opened.store, opened.keeper.Vault, opened.keeper, log).Run(ctx) }()
	w := opened.store.Watch(store.TableRotation)
	defer w.Close()
	for {
		if _, err := w.Next(ctx); err != nil {
			return err
		}
		var rotation *warrenv1.Rotation
		err := opened.store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
			rotation, err = tx.Rotation().Get()
			return err
		})
		if err == nil && rotation.GetPhase() == warrenv1.RotationPhase_ROTATION_PHASE_DONE {
			return opened.keeper.Sync(ctx)
		}
		select {
		case err := <-failed:
			return errors.Join(errors.New("it ended early"), err)
		default:
		}
	}
}

// openedManager is a manager's directory that was opened.
type openedManager struct {
	*consensus.Consensus
	store  *store.Store
	keeper *keeper.Keeper
}

func (o *openedManager) close() error {
	o.keeper.Close()
	return o.Close()
}

func openManager(dir string) (*openedManager, error) {
	state, err := consensus.Open(consensus.Options{
		DataDir: filepath.Join(dir, "data"), NodeID: "node-test-000001", Logger: slog.New(slog.DiscardHandler), Reserve: 8 << 20,
	})
	if err != nil {
		return nil, err
	}
	o := &openedManager{Consensus: state, store: store.New(state)}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	o.keeper, err = keeper.New(keeper.Config{
		Store: o.store, Vault: vault.New(clusterID), NodeID: "node-test-000001", NodeName: "m1",
		Dir: filepath.Join(dir, "keys"), Peers: testkit.Alone{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	if done, _ := state.Bootstrapped(); !done {
		err = state.Bootstrap()
	}
	if err == nil {
		err = state.WaitLeading(ctx)
	}
	if err == nil {
		err = o.keeper.Sync(ctx)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil // a new one
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func TestARotationThatIsKilledAnywhereEndsAfterARestart(t *testing.T) {
	for _, point := range []string{
		"rotate.published", "rotate.resealing", "rotate.batch", "rotate.handing_out", "rotate.done",
		"keeper.next-written", "keeper.present-written",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			next := prepareRotation(t, dir)
			if err := child(t, dir, point); err == nil || err.Error() != "signal: killed" {
				t.Fatalf("the child was not killed at %s: %v", point, err)
			}
			if err := child(t, dir, ""); err != nil {
				t.Fatalf("after the kill: %v", err)
			}
			checkRotated(t, dir, next)
		})
	}
}

// prepareRotation makes a cluster with values, which waits for a rotation of
// both keys, and returns the next unlock key's fingerprint.
func prepareRotation(t *testing.T, dir string) string {
	t.Helper()
	for _, d := range []string{"data", "keys"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	created, err := vault.Create(clusterID, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.WriteUnlockKey(filepath.Join(dir, "keys"), created.Unlock); err != nil {
		t.Fatal(err)
	}
	opened, err := openManager(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{TB: t, store: opened.store, created: created, vault: created.Vault, keeper: opened.keeper}
	m.update(func(tx *store.Tx) error {
		return errors.Join(tx.Cluster().Put(created.Cluster), tx.ClusterKeys().Put(created.Keys))
	})
	m.fill(killValues, 1024)
	next := newUnlockKey(t)
	m.request(&next)
	if err := opened.close(); err != nil {
		t.Fatal(err)
	}
	created.Vault.Close()
	return next.Fingerprint()
}

func child(t *testing.T, dir, point string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childPoint+"="+point)
	out, err := cmd.CombinedOutput()
	if err != nil && err.Error() != "signal: killed" {
		t.Logf("%s", out)
	}
	return err
}

// checkRotated opens the directory as the next start would.
func checkRotated(t *testing.T, dir, fingerprint string) {
	t.Helper()
	opened, err := openManager(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := opened.close(); err != nil {
			t.Error(err)
		}
	}()
	m := &manager{TB: t, store: opened.store, vault: opened.keeper.Vault, keeper: opened.keeper}
	keys := m.keys()
	if keys.GetUnlockKeyFingerprint() != fingerprint || len(m.vault.KeyIDs()) != 1 {
		t.Errorf("the keys need unlock key %s, want %s; the ring has %v", keys.GetUnlockKeyFingerprint(), fingerprint, m.vault.KeyIDs())
	}
	for i := range killValues {
		if got, err := m.read(object(i)); len(got) != 1024 {
			t.Fatalf("secret %d: %d bytes, %v", i, len(got), err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "keys", "unlock.key.next")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a next unlock key is left over: %v", err)
	}
}

// BenchmarkRotation10000 rotates the key of 10,000 values of 1 KB.
func BenchmarkRotation10000(b *testing.B) {
	m := newManager(b)
	m.fill(10_000, 1024)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	r := rotate.New(m.store, m.vault, m.keeper, slog.New(slog.NewTextHandler(io.Discard, nil)))
	go func() { done <- r.Run(ctx) }()
	for b.Loop() {
		m.request(nil)
		if rotation := m.await(); rotation.GetDone() != 10_000 {
			b.Fatalf("%v", rotation)
		}
	}
	cancel()
	<-done
}
