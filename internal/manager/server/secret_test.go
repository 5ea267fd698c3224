package server_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

func (c *cluster) secretRequest(name, value string) *warrenv1.CreateSecretRequest {
	return &warrenv1.CreateSecretRequest{Name: name, Items: []*warrenv1.SealedItem{c.secretItem(name, "", value)}}
}

func TestASecretIsKeptSealed(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	s, err := a.CreateSecret(ctx, c.secretRequest("db-password", "hunter2-canary"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^secret-db-password-[a-z0-9]{6}$`).MatchString(s.GetMeta().GetId()) {
		t.Errorf("ID %q", s.GetMeta().GetId())
	}
	if v := s.GetVersions(); len(v) != 1 || v[0].GetNumber() != 1 || v[0].GetSize() != 14 {
		t.Errorf("versions %v", v)
	}
	c.view(func(tx *store.ReadTx) error {
		value, err := tx.SecretValues().Get("default", s.GetMeta().GetId(), store.Version(1))
		if err != nil {
			return err
		}
		raw, err := proto.Marshal(value)
		if strings.Contains(string(raw), "canary") {
			t.Error("the stored value is readable")
		}
		// It opens for the worker that is to have it, and is what was given.
		key, err2 := seal.GenerateEnvelopeKey()
		o := vault.Object{Kind: vault.Secret, Namespace: "default", ID: s.GetMeta().GetId(), Name: "db-password", Version: 1}
		items, err3 := c.vault.Deliver(o, value.GetItems(), vault.Recipient{NodeID: "n", TaskID: "t", SealingKey: key.PublicKey()})
		if err := errors.Join(err, err2, err3); err != nil {
			return err
		}
		p, err := key.Open(seal.ToTaskInfo(clusterID, "n", "t", o.ID, 1, ""), items[0].GetCiphertext())
		if err != nil || string(p.Bytes()) != "hunter2-canary" {
			t.Errorf("the value did not come through: %v", err)
		}
		return nil
	})
	list, err := a.ListSecrets(ctx, &warrenv1.Filter{})
	if err != nil || len(list.GetSecrets()) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestSecretsThatAreRefused(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	for name, r := range map[string]struct {
		request *warrenv1.CreateSecretRequest
		want    string
	}{
		"empty":             {c.secretRequest("s", ""), "is empty"},
		"one byte too many": {c.secretRequest("s", strings.Repeat("x", spec.MaxSecretBytes+1)), "limit of 1048576 bytes"},
		"too many in two": {&warrenv1.CreateSecretRequest{Name: "s", Items: []*warrenv1.SealedItem{
			c.secretItem("s", "a", strings.Repeat("x", spec.MaxSecretBytes)), c.secretItem("s", "b", "x"),
		}}, "limit of 1048576 bytes"},
		"one of two empty": {&warrenv1.CreateSecretRequest{Name: "s", Items: []*warrenv1.SealedItem{
			c.secretItem("s", "a", "x"), c.secretItem("s", "b", ""),
		}}, "is empty"},
		"sealed for another name": {&warrenv1.CreateSecretRequest{Name: "s", Items: []*warrenv1.SealedItem{c.secretItem("other", "", "x")}}, "not sealed for it"},
		"not sealed":              {&warrenv1.CreateSecretRequest{Name: "s", Items: []*warrenv1.SealedItem{{Ciphertext: []byte("plain")}}}, "not sealed for it"},
		"no value":                {&warrenv1.CreateSecretRequest{Name: "s"}, "no value"},
		"bad name":                {c.secretRequest("S", "x"), "not valid"},
		"the system's":            {&warrenv1.CreateSecretRequest{Name: "s", Namespace: "warren", Items: []*warrenv1.SealedItem{c.secretItem("s", "", "x")}}, "reserved"},
	} {
		_, err := a.CreateSecret(ctx, r.request)
		if strings.Contains(wantError(t, err, codes.InvalidArgument, r.want), "plain") {
			t.Errorf("%s: the hint repeats the value", name)
		}
	}
	if _, err := a.CreateSecret(ctx, c.secretRequest("s", strings.Repeat("x", spec.MaxSecretBytes))); err != nil {
		t.Errorf("a secret of exactly 1 MiB: %v", err)
	}
	_, err := a.CreateSecret(ctx, c.secretRequest("s", "x"))
	wantError(t, err, codes.AlreadyExists, `secret "s" already exists`)
	_, err = a.GetSecret(ctx, ref("t"))
	wantError(t, err, codes.NotFound, `secret "t" does not exist`)
}

func TestASecretInUseIsDeletedByForceOnly(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	for _, name := range []string{"db-password", "api-key"} {
		if _, err := a.CreateSecret(ctx, c.secretRequest(name, "x")); err != nil {
			t.Fatal(err)
		}
	}
	r := serviceRequest("api")
	r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "db-password"}, {Secret: "api-key", Target: "keys/api"}}
	if _, err := a.CreateService(ctx, r); err != nil {
		t.Fatal(err)
	}
	c.running("api", 1)
	before, err := a.GetTask(ctx, ref("api-task-1"))
	if err != nil || len(before.GetSecrets()) != 2 {
		t.Fatalf("got %v, %v", before, err)
	}

	_, err = a.DeleteSecret(ctx, &warrenv1.DeleteSecretRequest{Ref: ref("db-password")})
	hint := wantError(t, err, codes.FailedPrecondition, `secret "db-password" is in use by api (service)`)
	if hint != "warren secret delete db-password --force" {
		t.Errorf("hint %q", hint)
	}
	gone, err := a.DeleteSecret(ctx, &warrenv1.DeleteSecretRequest{Ref: ref("db-password"), Force: true})
	if err != nil || len(gone.GetDetachedServices()) != 1 || gone.GetDetachedServices()[0] != "api" {
		t.Fatalf("got %v, %v", gone, err)
	}
	s, err := a.GetService(ctx, ref("api"))
	if err != nil || len(s.GetSpec().GetContainer().GetSecrets()) != 1 || s.GetSpecVersion() != 1 || s.GetRunning() != 1 {
		t.Errorf("got %v, %v", s, err)
	}
	after, err := a.GetTask(ctx, ref("api-task-1"))
	if err != nil || after.GetMeta().GetId() != before.GetMeta().GetId() {
		t.Fatalf("the task was made anew: %v, %v", after, err)
	}
	if pins := after.GetSecrets(); len(pins) != 1 || pins[0].GetSecret() != "api-key" || len(after.GetContainer().GetSecrets()) != 1 {
		t.Errorf("the running task keeps %v", pins)
	}
	c.view(func(tx *store.ReadTx) error {
		for key := range tx.SecretValues().Keys("default", gone.GetSecret().GetMeta().GetId()) {
			t.Errorf("a value stayed: %s", key)
		}
		return nil
	})
}

// The file goes from every task, however many there are.
func TestASecretGoesFromAllTasks(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	if _, err := a.CreateSecret(ctx, c.secretRequest("db-password", "x")); err != nil {
		t.Fatal(err)
	}
	const replicas = 150
	r := serviceRequest("api")
	r.Spec.Replicas = replicas
	r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "db-password"}}
	if _, err := a.CreateService(ctx, r); err != nil {
		t.Fatal(err)
	}
	pinned := func(tx *store.ReadTx) (n int) {
		for _, task := range tx.Tasks().List("default") {
			n += len(task.GetSecrets())
		}
		return n
	}
	c.until("all tasks are made", func(tx *store.ReadTx) bool { return pinned(tx) == replicas })
	if _, err := a.DeleteSecret(ctx, &warrenv1.DeleteSecretRequest{Ref: ref("db-password"), Force: true}); err != nil {
		t.Fatal(err)
	}
	c.view(func(tx *store.ReadTx) error {
		if n := pinned(tx); n != 0 {
			t.Errorf("%d tasks keep the secret", n)
		}
		return nil
	})
}
