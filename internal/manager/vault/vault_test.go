package vault

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"google.golang.org/protobuf/proto"
)

const canary = "canary-8e12ab"

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func create(t testing.TB, clusterID string) *Created {
	t.Helper()
	c, err := Create(clusterID, "test", epoch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Unlock.Destroy)
	t.Cleanup(c.Vault.Close)
	return c
}

// envelope is what a client sends.
func envelope(t *testing.T, c *Created, info []byte, key, value string) *warrenv1.SealedItem {
	t.Helper()
	p, err := seal.PlaintextFrom([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	ct, err := seal.SealTo(c.Cluster.GetSealingKey(), info, p)
	if err != nil {
		t.Fatal(err)
	}
	return &warrenv1.SealedItem{Key: key, Ciphertext: ct}
}

func secretEnvelope(t *testing.T, c *Created, o Object, key, value string) *warrenv1.SealedItem {
	t.Helper()
	return envelope(t, c, seal.ToClusterInfo(c.Cluster.GetId(), o.Namespace, o.Name, key), key, value)
}

var password = Object{Kind: Secret, Namespace: "default", ID: "secret-db-password-abc123", Name: "db-password", Version: 1}

func TestClusterOpensAgainWithItsUnlockKey(t *testing.T) {
	c := create(t, "c1")
	stored, _, err := c.Vault.Accept(password, []*warrenv1.SealedItem{secretEnvelope(t, c, password, "", canary)})
	if err != nil {
		t.Fatal(err)
	}
	// Through their stored form, as after a restart or on another machine.
	cluster, keys := proto.Clone(c.Cluster).(*warrenv1.Cluster), proto.Clone(c.Keys).(*storepb.ClusterKeys)
	unlock, err := seal.ParseUnlockKey(c.Unlock.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock.Destroy()
	again, err := Open(cluster, keys, unlock)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := deliverOne(t, again, password, stored); got != canary {
		t.Errorf("delivered %q", got)
	}
	if _, _, err := again.Accept(password, []*warrenv1.SealedItem{secretEnvelope(t, c, password, "", canary)}); err != nil {
		t.Errorf("clients' envelopes do not open any more: %v", err)
	}
	if again.ClusterID() != "c1" || !bytes.Equal(again.CACertificate(), c.Cluster.GetCaCertificate()) {
		t.Error("it is another cluster")
	}
}

// deliverOne plays the worker: it makes a key for one call, and opens what it
// gets for itself.
func deliverOne(t *testing.T, v *Vault, o Object, items []*storepb.SecretItem) string {
	t.Helper()
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Deliver(o, items, Recipient{NodeID: "node-1", TaskID: "task-1", SealingKey: key.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := key.Open(seal.ToTaskInfo(v.ClusterID(), "node-1", "task-1", o.ID, o.Version, sealed[0].GetKey()), sealed[0].GetCiphertext())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	return string(p.Bytes())
}

func TestWrongUnlockKeyIsRefusedByFingerprint(t *testing.T) {
	c, other := create(t, "c1"), create(t, "c2")
	_, err := Open(c.Cluster, c.Keys, other.Unlock)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("Open: %v", err)
	}
	for _, part := range []string{"c1", c.Unlock.Fingerprint(), other.Unlock.Fingerprint()} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), c.Unlock.Reveal()) || strings.Contains(err.Error(), other.Unlock.Reveal()) {
		t.Errorf("the error tells a key: %v", err)
	}
	_, err = Open(c.Cluster, c.Keys, seal.UnlockKey{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), c.Unlock.Fingerprint()) {
		t.Errorf("without a key: %v", err)
	}
}

func TestEditedRowsAreRefused(t *testing.T) {
	c, other := create(t, "c1"), create(t, "c1")
	for name, edit := range map[string]func(*warrenv1.Cluster, *storepb.ClusterKeys){
		"another cluster's ID":   func(r *warrenv1.Cluster, _ *storepb.ClusterKeys) { r.Id = "c2" },
		"another CA":             func(r *warrenv1.Cluster, _ *storepb.ClusterKeys) { r.CaCertificate = other.Cluster.CaCertificate },
		"no CA":                  func(r *warrenv1.Cluster, _ *storepb.ClusterKeys) { r.CaCertificate = nil },
		"a spy's sealing key":    func(r *warrenv1.Cluster, _ *storepb.ClusterKeys) { r.SealingKey = other.Cluster.SealingKey },
		"another ring":           func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.WrappedRing = other.Keys.WrappedRing },
		"a cut ring":             func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.WrappedRing = k.WrappedRing[:20] },
		"another salt":           func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.Salt = other.Keys.Salt },
		"no salt":                func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.Salt = nil },
		"too few iterations":     func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.Iterations = 1 },
		"endless iterations":     func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.Iterations = 1<<32 - 1 },
		"keys swapped":           func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.CaKey, k.SealingKey = k.SealingKey, k.CaKey },
		"another cluster's keys": func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.CaKey = other.Keys.CaKey },
		"no CA key":              func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.CaKey = nil },
		"no sealing key":         func(_ *warrenv1.Cluster, k *storepb.ClusterKeys) { k.SealingKey = nil },
	} {
		cluster, keys := proto.Clone(c.Cluster).(*warrenv1.Cluster), proto.Clone(c.Keys).(*storepb.ClusterKeys)
		edit(cluster, keys)
		if v, err := Open(cluster, keys, c.Unlock); err == nil {
			v.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), "cluster "+cluster.Id) {
			t.Errorf("%s: the error does not name the cluster: %v", name, err)
		}
	}
}

func TestEnvelopesAreTakenForTheirObjectOnly(t *testing.T) {
	c, other := create(t, "c1"), create(t, "c2")
	change := func(edit func(*Object)) Object {
		o := password
		edit(&o)
		return o
	}
	for name, o := range map[string]Object{
		"another name":      change(func(o *Object) { o.Name = "api-key" }),
		"another namespace": change(func(o *Object) { o.Namespace = "prod" }),
		"another kind":      change(func(o *Object) { o.Kind = Registry }),
	} {
		_, _, err := c.Vault.Accept(o, []*warrenv1.SealedItem{secretEnvelope(t, c, password, "", canary)})
		if !errors.Is(err, ErrEnvelope) || !strings.Contains(err.Error(), o.Name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	moved := secretEnvelope(t, c, password, "user", canary)
	moved.Key = "admin"
	for name, item := range map[string]*warrenv1.SealedItem{
		"another key":      moved,
		"another cluster":  secretEnvelope(t, other, password, "", canary),
		"another's info":   envelope(t, c, seal.ToClusterInfo("c2", "default", "db-password", ""), "", canary),
		"nothing":          {},
		"no item":          nil,
		"plaintext":        {Ciphertext: []byte(canary)},
		"a registry login": envelope(t, c, seal.ToClusterRegistryInfo("c1", "db-password"), "", canary),
	} {
		if _, _, err := c.Vault.Accept(password, []*warrenv1.SealedItem{item}); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsStoredHoldsNoPlaintext(t *testing.T) {
	c := create(t, "c1")
	items, sizes, err := c.Vault.Accept(password, []*warrenv1.SealedItem{
		secretEnvelope(t, c, password, "b", canary), secretEnvelope(t, c, password, "a", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 2 || items[0].GetKey() != "b" || items[1].GetKey() != "a" || !slices.Equal(sizes, []uint64{uint64(len(canary)), 0}) {
		t.Fatalf("stored %v, sizes %v", items, sizes)
	}
	for _, row := range []proto.Message{&storepb.SecretValue{Items: items}, c.Cluster, c.Keys} {
		b, err := proto.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte(c.Unlock.Reveal())) {
			t.Errorf("plaintext in %T", row)
		}
	}
}

func TestMovedRecordsAreRefusedAndOthersStayReadable(t *testing.T) {
	c := create(t, "c1")
	store := func(o Object) []*storepb.SecretItem {
		items, _, err := c.Vault.Accept(o, []*warrenv1.SealedItem{secretEnvelope(t, c, o, "", canary)})
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	to := Recipient{NodeID: "node-1", TaskID: "task-1", SealingKey: key.PublicKey()}
	stored := store(password)
	for name, edit := range map[string]func(*Object, *storepb.SecretItem){
		"name":      func(o *Object, _ *storepb.SecretItem) { o.Name = "api-key" },
		"namespace": func(o *Object, _ *storepb.SecretItem) { o.Namespace = "prod" },
		"ID":        func(o *Object, _ *storepb.SecretItem) { o.ID = "secret-db-password-zzz999" },
		"version":   func(o *Object, _ *storepb.SecretItem) { o.Version = 2 },
		"kind":      func(o *Object, _ *storepb.SecretItem) { o.Kind = Registry },
		"item":      func(_ *Object, i *storepb.SecretItem) { i.Key = "other" },
		"bit":       func(_ *Object, i *storepb.SecretItem) { i.Box.Ciphertext[0] ^= 1 },
		"key ID":    func(_ *Object, i *storepb.SecretItem) { i.Box.KeyId = "0000000000000000" },
		"no box":    func(_ *Object, i *storepb.SecretItem) { i.Box = nil },
	} {
		o, item := password, proto.Clone(stored[0]).(*storepb.SecretItem)
		edit(&o, item)
		_, err := c.Vault.Deliver(o, []*storepb.SecretItem{item}, to)
		if !errors.Is(err, seal.ErrAltered) && !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("another %s: %v", name, err)
		} else if !strings.Contains(err.Error(), o.Name) {
			t.Errorf("another %s: the error does not name the secret: %v", name, err)
		}
	}
	if got := deliverOne(t, c.Vault, password, stored); got != canary {
		t.Errorf("the record itself gives %q", got)
	}
}

func TestDeliveryIsForOneTaskOfOneNode(t *testing.T) {
	c := create(t, "c1")
	items, _, err := c.Vault.Accept(password, []*warrenv1.SealedItem{secretEnvelope(t, c, password, "", canary)})
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := c.Vault.Deliver(password, items, Recipient{NodeID: "node-1", TaskID: "task-1", SealingKey: key.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range [][]byte{
		seal.ToTaskInfo("c1", "node-2", "task-1", password.ID, 1, ""),
		seal.ToTaskInfo("c1", "node-1", "task-2", password.ID, 1, ""),
	} {
		if _, err := key.Open(info, sealed[0].GetCiphertext()); !errors.Is(err, seal.ErrEnvelope) {
			t.Errorf("opened for somebody else: %v", err)
		}
	}
	for name, to := range map[string]Recipient{
		"no node":  {TaskID: "task-1", SealingKey: key.PublicKey()},
		"no task":  {NodeID: "node-1", SealingKey: key.PublicKey()},
		"no key":   {NodeID: "node-1", TaskID: "task-1"},
		"half key": {NodeID: "node-1", TaskID: "task-1", SealingKey: key.PublicKey()[:100]},
	} {
		if _, err := c.Vault.Deliver(password, items, to); err == nil {
			t.Errorf("%s: delivered", name)
		}
	}
}

func TestRegistryPasswordIsBoundToItsHost(t *testing.T) {
	c := create(t, "c1")
	o := Object{Kind: Registry, ID: "secret-registry-abc123", Name: "registry.example:5000", Version: 1}
	sent := envelope(t, c, seal.ToClusterRegistryInfo("c1", o.Name), "", canary)
	items, _, err := c.Vault.Accept(o, []*warrenv1.SealedItem{sent})
	if err != nil {
		t.Fatal(err)
	}
	if got := deliverOne(t, c.Vault, o, items); got != canary {
		t.Errorf("delivered %q", got)
	}
	o.Name = "evil.example"
	if _, _, err := c.Vault.Accept(o, []*warrenv1.SealedItem{sent}); !errors.Is(err, ErrEnvelope) {
		t.Errorf("taken for another host: %v", err)
	}
}

func TestIssuedBundleIsTheClusters(t *testing.T) {
	c := create(t, "c1")
	id := pki.Identity{ClusterID: "c1", Roles: []warrenv1.Role{warrenv1.Role_ROLE_ADMIN}, Name: "alice"}
	b, err := c.Vault.IssueBundle(id, epoch, pki.ClientTTL)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Key.Destroy()
	credential, err := b.Parse()
	if err != nil || credential.Identity().String() != id.String() {
		t.Errorf("%v, %v", credential, err)
	}
	id.ClusterID = "c2"
	if _, err := c.Vault.IssueBundle(id, epoch, pki.ClientTTL); err == nil {
		t.Error("issued for another cluster")
	}
}

func FuzzOpen(f *testing.F) {
	c := create(f, "c1")
	row, err := proto.Marshal(c.Keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, row []byte) {
		var keys storepb.ClusterKeys
		if proto.Unmarshal(row, &keys) != nil || keys.GetIterations() > seal.MinIterations {
			return // work that is merely long
		}
		v, err := Open(c.Cluster, &keys, c.Unlock)
		if err != nil {
			return
		}
		defer v.Close()
		if v.ClusterID() != "c1" {
			t.Error("another cluster opened")
		}
	})
}
