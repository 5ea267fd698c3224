package dispatch

import (
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// withVault gives the house a cluster's real keys.
func withVault(t *testing.T) (func(*Config), *vault.Created) {
	created, err := vault.Create("cluster-1", "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { created.Vault.Close(); created.Unlock.Destroy() })
	return func(c *Config) { c.Vault = created.Vault }, created
}

// keep stores a value as a client's envelope would become it.
func keep(h *house, keys *vault.Created, namespace string, o vault.Object, info []byte, value string) {
	h.t.Helper()
	p, err := seal.PlaintextFrom([]byte(value))
	if err != nil {
		h.t.Fatal(err)
	}
	defer p.Destroy()
	envelope, err := seal.SealTo(keys.Cluster.GetSealingKey(), info, p)
	if err != nil {
		h.t.Fatal(err)
	}
	items, _, err := keys.Vault.Accept(o, []*warrenv1.SealedItem{{Ciphertext: envelope}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx *store.Tx) error {
		secret, err := tx.Secrets().Get(namespace, o.ID)
		if err != nil {
			secret = &warrenv1.Secret{Meta: &warrenv1.Meta{Id: o.ID, Name: o.Name, Namespace: namespace}}
			if err := tx.Secrets().Create(secret); err != nil {
				return err
			}
		}
		secret.Versions = append(secret.Versions, &warrenv1.SecretVersion{Number: o.Version})
		if err := tx.Secrets().Put(secret); err != nil {
			return err
		}
		return tx.SecretValues().Put(&storepb.SecretValue{SecretId: o.ID, Version: o.Version, Items: items}, namespace, o.ID, store.Version(o.Version))
	})
}

func keepSecret(h *house, keys *vault.Created, name string, version uint64, value string) *warrenv1.SecretPin {
	o := vault.Object{Kind: vault.Secret, Namespace: ns, ID: "secret-" + name, Name: name, Version: version}
	keep(h, keys, ns, o, seal.ToClusterInfo("cluster-1", ns, name, ""), value)
	return &warrenv1.SecretPin{SecretId: o.ID, Secret: name, Version: version, Target: name}
}

func fetch(h *house, node, task string, key *seal.EnvelopeKey) ([]*warrenv1.FetchedSecret, error) {
	stream, err := h.client().FetchSecrets(h.as(node), &warrenv1.FetchSecretsRequest{TaskId: task, SealingKey: key.PublicKey()})
	if err != nil {
		return nil, err
	}
	var all []*warrenv1.FetchedSecret
	for {
		s, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, s)
	}
}

func opened(t *testing.T, key *seal.EnvelopeKey, item *warrenv1.SealedItem, task, secret string, version uint64) string {
	t.Helper()
	p, err := key.Open(seal.ToTaskInfo("cluster-1", "n1", task, secret, version, item.GetKey()), item.GetCiphertext())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	return string(p.Bytes())
}

func TestSecretsGoToTheNodeOfTheTaskAlone(t *testing.T) {
	config, keys := withVault(t)
	h := newHouse(t, config).lead()
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	one, two := keepSecret(h, keys, "db-password", 1, "hunter1"), keepSecret(h, keys, "db-password", 2, "hunter2")
	other := keepSecret(h, keys, "api-key", 1, "sesame")
	missing := &warrenv1.SecretPin{SecretId: "secret-gone", Secret: "gone", Version: 1}
	pins := func(p ...*warrenv1.SecretPin) func(*warrenv1.Task) {
		return func(task *warrenv1.Task) { task.Secrets = p }
	}
	h.putTask("a", "n1", pins(other, two))
	h.putTask("old", "n1", pins(one))
	h.putTask("stopping", "n1", pins(one), stoppedTask)
	h.putTask("broken", "n1", pins(missing))
	h.putTask("theirs", "n2", pins(one))
	w := h.connect("n1")
	w.until(func() bool { return len(w.tasks) == 4 })

	got, err := fetch(h, "n1", "a", key)
	if err != nil || len(got) != 2 {
		t.Fatalf("fetched %v, %v", got, err)
	}
	if v := opened(t, key, got[0].GetItems()[0], "a", "secret-api-key", 1); v != "sesame" {
		t.Errorf("the first pin's value is %q", v)
	}
	if v := opened(t, key, got[1].GetItems()[0], "a", "secret-db-password", 2); v != "hunter2" {
		t.Errorf("the second pin's value is %q", v)
	}
	if got, err = fetch(h, "n1", "old", key); err != nil || opened(t, key, got[0].GetItems()[0], "old", "secret-db-password", 1) != "hunter1" {
		t.Errorf("an older version: %v", err)
	}
	for name, c := range map[string]struct {
		node, task string
		want       codes.Code
	}{
		"another node's task":   {"n2", "a", codes.PermissionDenied},
		"a task of another":     {"n1", "theirs", codes.PermissionDenied},
		"no task":               {"n1", "nothing", codes.PermissionDenied},
		"a path for a task":     {"n1", "default/a", codes.PermissionDenied},
		"a task that shall end": {"n1", "stopping", codes.PermissionDenied},
		"a value that is gone":  {"n1", "broken", codes.NotFound},
	} {
		if _, err := fetch(h, c.node, c.task, key); status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := fetchRaw(h, []byte("no key")); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("sealed to a key that is none: %v", err)
	}
	h.putTask("a", "n2", pins(other, two))
	w.until(func() bool { return w.tasks["a"] == nil })
	if _, err := fetch(h, "n1", "a", key); status.Code(err) != codes.PermissionDenied {
		t.Errorf("after the task moved away: %v", err)
	}
}

func fetchRaw(h *house, key []byte) (*warrenv1.FetchedSecret, error) {
	stream, err := h.client().FetchSecrets(h.as("n1"), &warrenv1.FetchSecretsRequest{TaskId: "a", SealingKey: key})
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

func TestARegistrysPasswordGoesWithItsImages(t *testing.T) {
	config, keys := withVault(t)
	h := newHouse(t, config).lead()
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	const host = "registry.example.com"
	o := vault.Object{Kind: vault.Registry, ID: "secret-r", Name: host, Version: 1}
	keep(h, keys, spec.SystemNamespace, o, seal.ToClusterRegistryInfo("cluster-1", host), "pull-me")
	h.update(func(tx *store.Tx) error {
		if err := tx.Registries().Put(&warrenv1.Registry{Host: "localhost:5000", PlainHttp: true}, "localhost:5000"); err != nil {
			return err
		}
		return tx.Registries().Put(&warrenv1.Registry{Host: host, Username: "u", SecretId: o.ID}, host)
	})
	image := func(name string) func(*warrenv1.Task) {
		return func(task *warrenv1.Task) { task.Container = &warrenv1.ContainerSpec{Image: name} }
	}
	h.putTask("private", "n1", image(host+"/app:1"))
	h.putTask("plain", "n1", image("localhost:5000/app"))
	h.putTask("public", "n1", image("postgres:15"))
	w := h.connect("n1")
	w.until(func() bool { return len(w.tasks) == 3 })
	ask := func(node, task string) (*warrenv1.FetchRegistryResponse, error) {
		return h.client().FetchRegistry(h.as(node), &warrenv1.FetchRegistryRequest{TaskId: task, SealingKey: key.PublicKey()})
	}
	r, err := ask("n1", "private")
	if err != nil || r.GetRegistry().GetUsername() != "u" || opened(t, key, r.GetPassword(), "private", o.ID, r.GetPasswordVersion()) != "pull-me" {
		t.Errorf("with a login: %v, %v", r, err)
	}
	if r, err = ask("n1", "plain"); err != nil || !r.GetRegistry().GetPlainHttp() || r.GetPassword() != nil {
		t.Errorf("without a login: %v, %v", r, err)
	}
	if r, err = ask("n1", "public"); err != nil || r.GetRegistry() != nil {
		t.Errorf("an unknown registry: %v, %v", r, err)
	}
	if _, err = ask("n2", "private"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another node: %v", err)
	}
}
