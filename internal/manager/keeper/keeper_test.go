package keeper_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/testkit"
)

// cluster is a state with keys, and the directory of a manager's key files.
type cluster struct {
	*testing.T
	store   *store.Store
	created *vault.Created
	dir     string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	created, err := vault.Create("c1", "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(created.Unlock.Destroy)
	t.Cleanup(created.Vault.Close)
	c := &cluster{T: t, store: testkit.NewStore(t), created: created, dir: t.TempDir()}
	c.update(func(tx *store.Tx) error {
		return errors.Join(tx.Cluster().Put(created.Cluster), tx.ClusterKeys().Put(created.Keys))
	})
	return c
}

func (c *cluster) update(fn func(*store.Tx) error) {
	c.Helper()
	if err := c.store.Update(c.Context(), fn); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) autolock() {
	c.Helper()
	c.update(func(tx *store.Tx) error {
		return tx.ClusterSettings().Put(&warrenv1.ClusterSettings{Autolock: true})
	})
}

// start is a manager's start.
func (c *cluster) start() *keeper.Keeper {
	c.Helper()
	k, err := keeper.New(keeper.Config{
		Store: c.store, Vault: vault.New("c1"), NodeID: "n1", NodeName: "m1", Dir: c.dir,
		Peers: testkit.Alone{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(k.Close)
	return k
}

func (c *cluster) envelope(k *keeper.Keeper, unlock seal.UnlockKey) []byte {
	c.Helper()
	e, err := vault.SealUnlockKey(unlock, k.State().GetPublicKey(), seal.ToManagerInfo("c1", "n1"))
	if err != nil {
		c.Fatal(err)
	}
	return e
}

func (c *cluster) keyFile() string { return filepath.Join(c.dir, "unlock.key") }

func other(t *testing.T) seal.UnlockKey {
	t.Helper()
	u, err := seal.NewUnlockKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Destroy)
	return u
}

func TestAManagerOpensItsKeysWithItsFile(t *testing.T) {
	c := newCluster(t)
	if err := keeper.WriteUnlockKey(c.dir, c.created.Unlock); err != nil {
		t.Fatal(err)
	}
	k := c.start()
	if err := k.Sync(t.Context()); err != nil || k.Vault.Sealed() {
		t.Errorf("sealed %v: %v", k.Vault.Sealed(), err)
	}
}

func TestAnotherUnlockKeyIsNamedBesideTheOneThatIsNeeded(t *testing.T) {
	c := newCluster(t)
	wrong := other(t)
	if err := keeper.WriteUnlockKey(c.dir, wrong); err != nil {
		t.Fatal(err)
	}
	err := c.start().Sync(t.Context())
	if !errors.Is(err, vault.ErrLocked) || !strings.Contains(err.Error(), wrong.Fingerprint()) || !strings.Contains(err.Error(), c.created.Unlock.Fingerprint()) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAKeyFileItSaysWhichKeyIsMissing(t *testing.T) {
	c := newCluster(t)
	if err := c.start().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), c.created.Unlock.Fingerprint()) {
		t.Errorf("got %v", err)
	}
}

func TestWithAutolockAManagerIsSealedUntilAPersonUnlocksIt(t *testing.T) {
	c := newCluster(t)
	c.autolock()
	k := c.start()
	if err := k.Sync(t.Context()); err != nil || !k.Vault.Sealed() {
		t.Fatalf("sealed %v: %v", k.Vault.Sealed(), err)
	}
	if _, _, err := k.UnlockKey(nil, nil); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("a sealed manager gives a key: %v", err)
	}
	if err := k.Unlock(t.Context(), c.envelope(k, other(t))); !errors.Is(err, vault.ErrLocked) || !k.Vault.Sealed() {
		t.Errorf("another key: sealed %v, %v", k.Vault.Sealed(), err)
	}
	good := c.envelope(k, c.created.Unlock)
	if err := c.start().Unlock(t.Context(), good); !errors.Is(err, seal.ErrEnvelope) {
		t.Errorf("a key that was sealed for another run: %v", err)
	}
	if err := k.Unlock(t.Context(), good); err != nil || k.Vault.Sealed() {
		t.Fatalf("sealed %v: %v", k.Vault.Sealed(), err)
	}
	if _, err := os.Stat(c.keyFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unlock key is on the disk: %v", err)
	}
}

func TestTheKeyFileGoesAndComesWithAutolock(t *testing.T) {
	c := newCluster(t)
	if err := keeper.WriteUnlockKey(c.dir, c.created.Unlock); err != nil {
		t.Fatal(err)
	}
	k := c.start()
	c.autolock()
	if err := k.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.keyFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unlock key is still on the disk: %v", err)
	}
	c.update(func(tx *store.Tx) error { return tx.ClusterSettings().Put(&warrenv1.ClusterSettings{}) })
	if err := k.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept, err := keeper.ReadUnlockKey(c.keyFile()); err != nil || !kept.Equal(c.created.Unlock) {
		t.Errorf("the unlock key is not back: %v", err)
	}
}

func TestADatabaseOfAnotherClusterIsRefused(t *testing.T) {
	c := newCluster(t)
	c.update(func(tx *store.Tx) error {
		row, err := tx.Cluster().Get()
		if err != nil {
			return err
		}
		row.Id = "c2"
		return tx.Cluster().Put(row)
	})
	if err := c.start().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "c1") || !strings.Contains(err.Error(), "c2") {
		t.Errorf("got %v", err)
	}
}
