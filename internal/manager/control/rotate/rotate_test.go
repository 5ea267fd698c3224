package rotate_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/control/rotate"
	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const clusterID = "c1"

// manager is a store with a cluster's keys, and what keeps and rotates them.
type manager struct {
	testing.TB
	store   *store.Store
	created *vault.Created
	vault   *vault.Vault
	keeper  *keeper.Keeper
}

func newManager(t testing.TB) *manager {
	t.Helper()
	created, err := vault.Create(clusterID, "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{TB: t, store: testkit.NewStore(t), created: created, vault: created.Vault}
	m.update(func(tx *store.Tx) error {
		if err := tx.Cluster().Put(created.Cluster); err != nil {
			return err
		}
		return tx.ClusterKeys().Put(created.Keys)
	})
	m.keeper = testkit.NewKeeper(t, m.store, created)
	return m
}

// start runs the reconciler until the test ends.
func (m *manager) start() {
	m.Helper()
	ctx, cancel := context.WithCancel(m.Context())
	done := make(chan error, 1)
	go func() {
		done <- rotate.New(m.store, m.vault, m.keeper, slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	m.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			m.Error(err)
		}
	})
}

func (m *manager) update(fn func(*store.Tx) error) {
	m.Helper()
	if err := m.store.Update(m.Context(), fn); err != nil {
		m.Fatal(err)
	}
}

func (m *manager) view(fn func(*store.ReadTx) error) {
	m.Helper()
	if err := m.store.View(m.Context(), fn); err != nil {
		m.Fatal(err)
	}
}

// request asks for a rotation; with unlock for one of the unlock key too.
func (m *manager) request(unlock *seal.UnlockKey) {
	m.Helper()
	m.update(func(tx *store.Tx) error {
		rotation := &warrenv1.Rotation{Number: 1, Phase: warrenv1.RotationPhase_ROTATION_PHASE_REQUESTED, Reason: "asked", StartedAt: timestamppb.Now()}
		if unlock != nil {
			envelope, err := vault.SealUnlockKey(*unlock, m.created.Cluster.GetSealingKey(), seal.ToClusterUnlockInfo(clusterID))
			if err != nil {
				return err
			}
			row, err := tx.ClusterKeys().Get()
			if err != nil {
				return err
			}
			if row, err = m.vault.AcceptUnlockKey(row, envelope); err != nil {
				return err
			}
			if err := tx.ClusterKeys().Put(row); err != nil {
				return err
			}
			rotation.NextUnlockKeyFingerprint = unlock.Fingerprint()
		}
		return tx.Rotation().Put(rotation)
	})
}

// await waits until the rotation is over.
func (m *manager) await() *warrenv1.Rotation {
	m.Helper()
	w := m.store.Watch(store.TableRotation)
	defer w.Close()
	ctx, cancel := context.WithTimeout(m.Context(), 30*time.Second)
	defer cancel()
	for {
		if _, err := w.Next(ctx); err != nil {
			m.Fatal("the rotation does not end: ", err)
		}
		var rotation *warrenv1.Rotation
		err := m.store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
			rotation, err = tx.Rotation().Get()
			return err
		})
		if err == nil && rotation.GetPhase() == warrenv1.RotationPhase_ROTATION_PHASE_DONE {
			if err := m.keeper.Sync(ctx); err != nil {
				m.Fatal(err)
			}
			return rotation
		}
	}
}

func object(i int) vault.Object {
	name := fmt.Sprintf("s%d", i)
	return vault.Object{Kind: vault.Secret, Namespace: "default", ID: "secret-" + name, Name: name, Version: 1}
}

// put stores a secret's value, sealed now.
func (m *manager) put(o vault.Object, value string) error {
	m.Helper()
	p, err := seal.PlaintextFrom([]byte(value))
	if err != nil {
		m.Fatal(err)
	}
	defer p.Destroy()
	ct, err := seal.SealTo(m.created.Cluster.GetSealingKey(), seal.ToClusterInfo(clusterID, o.Namespace, o.Name, ""), p)
	if err != nil {
		m.Fatal(err)
	}
	return m.store.Update(m.Context(), func(tx *store.Tx) error {
		items, _, err := m.vault.Accept(o, []*warrenv1.SealedItem{{Ciphertext: ct}})
		if err != nil {
			return err
		}
		secret := &warrenv1.Secret{Meta: &warrenv1.Meta{Id: o.ID, Name: o.Name, Namespace: o.Namespace}, Versions: versions(o)}
		if _, err := tx.Secrets().Get(o.Namespace, o.ID); err != nil {
			if err := tx.Secrets().Create(secret); err != nil {
				return err
			}
		}
		return tx.SecretValues().Put(secretValue(o, items), o.Namespace, o.ID, store.Version(o.Version))
	})
}

// read opens a stored value as a worker's task would get it.
func (m *manager) read(o vault.Object) (string, error) {
	m.Helper()
	receiver, err := seal.GenerateEnvelopeKey()
	if err != nil {
		m.Fatal(err)
	}
	defer receiver.Destroy()
	value, err := m.row(o)
	if err != nil {
		return "", err
	}
	items, err := m.vault.Deliver(o, value.GetItems(), vault.Recipient{NodeID: "n1", TaskID: "t1", SealingKey: receiver.PublicKey()})
	if err != nil {
		return "", err
	}
	p, err := receiver.Open(seal.ToTaskInfo(clusterID, "n1", "t1", o.ID, o.Version, ""), items[0].GetCiphertext())
	if err != nil {
		return "", err
	}
	defer p.Destroy()
	return strings.Clone(string(p.Bytes())), nil
}

func TestARotationSealsEverythingAgain(t *testing.T) {
	m := newManager(t)
	for i := range 20 {
		if err := m.put(object(i), fmt.Sprintf("value %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	registry := vault.Object{Kind: vault.Registry, ID: "secret-registry-1", Name: "registry.example", Version: 1}
	m.putRegistry(registry, "pull")
	before := m.keys().GetSealsWith()
	m.start()
	m.request(nil)
	rotation := m.await()
	if rotation.GetDone() != 21 || rotation.GetTotal() != 21 || len(rotation.GetUnreadable()) > 0 {
		t.Errorf("the rotation: %v", rotation)
	}
	keys := m.keys()
	if keys.GetSealsWith() == before || !slices.Equal(m.vault.KeyIDs(), []string{keys.GetSealsWith()}) {
		t.Errorf("the ring has %v, and seals with %s as before %s", m.vault.KeyIDs(), keys.GetSealsWith(), before)
	}
	for i := range 20 {
		if got, err := m.read(object(i)); got != fmt.Sprintf("value %d", i) {
			t.Errorf("secret %d reads %q: %v", i, got, err)
		}
	}
	row, err := m.rowAt(spec.SystemNamespace, registry.ID, 1)
	if err != nil || row.GetItems()[0].GetBox().GetKeyId() != keys.GetSealsWith() {
		t.Errorf("the registry's password was left behind: %v", err)
	}
	// The CA and the key that clients seal to open after a restart too.
	if _, err := vault.Open(m.created.Cluster, keys, m.created.Unlock); err != nil {
		t.Error(err)
	}
}

func TestTheEarlierUnlockKeyOpensNothingAfterItsRotation(t *testing.T) {
	m := newManager(t)
	if err := m.put(object(1), "value"); err != nil {
		t.Fatal(err)
	}
	next := newUnlockKey(t)
	m.start()
	m.request(&next)
	m.await()
	keys := m.keys()
	if _, err := vault.Open(m.created.Cluster, keys, m.created.Unlock); err == nil || !strings.Contains(err.Error(), next.Fingerprint()) {
		t.Errorf("the earlier unlock key: %v", err)
	}
	opened, err := vault.Open(m.cluster(), keys, next)
	if err != nil {
		t.Fatal(err)
	}
	opened.Close()
	if got, err := m.read(object(1)); got != "value" {
		t.Errorf("reads %q: %v", got, err)
	}
	if got := m.cluster().GetUnlockKeyFingerprint(); got != next.Fingerprint() {
		t.Errorf("the cluster names unlock key %s, not %s", got, next.Fingerprint())
	}
}

func TestSecretsAreReadableAndWritableThroughout(t *testing.T) {
	m := newManager(t)
	if err := m.put(object(0), "steady"); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.request(nil)
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		written := 0
		for i := 1; ; i++ {
			select {
			case <-stop:
				ended <- written
				return
			default:
			}
			// As the server's client does: what was sealed with a key that goes is
			// sealed again.
			err := m.put(object(i), "new")
			for err != nil && strings.Contains(err.Error(), store.ErrStaleKey.Error()) {
				err = m.put(object(i), "new")
			}
			if err != nil {
				t.Errorf("write %d: %v", i, err)
			}
			if got, err := m.read(object(0)); got != "steady" {
				t.Errorf("read %q: %v", got, err)
			}
			written = i
		}
	}()
	m.await()
	close(stop)
	written := <-ended
	for i := 1; i <= written; i++ {
		if got, err := m.read(object(i)); got != "new" {
			t.Errorf("secret %d, written during the rotation, reads %q: %v", i, got, err)
		}
	}
	if written == 0 {
		t.Error("nothing was written during the rotation")
	}
}

func TestWhatDoesNotOpenIsNamedAndHoldsUpNothing(t *testing.T) {
	m := newManager(t)
	for i := range 3 {
		if err := m.put(object(i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	m.update(func(tx *store.Tx) error { // one value under another secret's name
		row, err := tx.SecretValues().Get("default", object(0).ID, store.Version(1))
		if err != nil {
			return err
		}
		return tx.SecretValues().Put(row, "default", object(1).ID, store.Version(1))
	})
	m.start()
	m.request(nil)
	if got := m.await().GetUnreadable(); !slices.Equal(got, []string{"secret s1 version 1"}) {
		t.Errorf("unreadable: %q", got)
	}
	if _, err := m.read(object(1)); err == nil {
		t.Error("a value reads under another name")
	}
	for _, i := range []int{0, 2} {
		if got, err := m.read(object(i)); got != "value" {
			t.Errorf("secret %d reads %q: %v", i, got, err)
		}
	}
}

func TestAScheduledRotationComesInItsTime(t *testing.T) {
	m := newManager(t)
	m.update(func(tx *store.Tx) error {
		cluster, err := tx.Cluster().Get()
		if err != nil {
			return err
		}
		cluster.CreatedAt = timestamppb.New(time.Now().Add(-25 * time.Hour))
		if err := tx.Cluster().Put(cluster); err != nil {
			return err
		}
		return tx.ClusterSettings().Put(&warrenv1.ClusterSettings{RotateEvery: durationpb.New(24 * time.Hour)})
	})
	m.start()
	if got := m.await(); got.GetReason() != "scheduled" || got.GetNumber() != 1 {
		t.Errorf("the rotation: %v", got)
	}
}
