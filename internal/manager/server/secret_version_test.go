package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

func (c *cluster) newVersion(name, value string) *warrenv1.UpdateSecretRequest {
	return &warrenv1.UpdateSecretRequest{Ref: ref(name), Items: []*warrenv1.SealedItem{c.secretItem(name, "", value)}}
}

// must fails the test on an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// valueOf opens a version as the worker of a task would.
func (c *cluster) valueOf(s *warrenv1.Secret, version uint64) (value string) {
	c.t.Helper()
	key := must[*seal.EnvelopeKey](c.t)(seal.GenerateEnvelopeKey())
	o := vault.Object{Kind: vault.Secret, Namespace: "default", ID: s.GetMeta().GetId(), Name: s.GetMeta().GetName(), Version: version}
	c.view(func(tx *store.ReadTx) error {
		row, err := tx.SecretValues().Get("default", o.ID, store.Version(version))
		if err != nil {
			return err
		}
		items, err := c.vault.Deliver(o, row.GetItems(), vault.Recipient{NodeID: "n", TaskID: "t", SealingKey: key.PublicKey()})
		if err != nil {
			return err
		}
		p, err := key.Open(seal.ToTaskInfo(clusterID, "n", "t", o.ID, version, ""), items[0].GetCiphertext())
		if err == nil {
			value = string(p.Bytes())
		}
		return err
	})
	return value
}

func numbers(s *warrenv1.Secret) string {
	var list []uint64
	for _, v := range s.GetVersions() {
		list = append(list, v.GetNumber())
	}
	return fmt.Sprint(list)
}

func TestVersionsAreNumberedAndImmutable(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("db", "one")))
	must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, c.newVersion("db", "two")))
	s := must[*warrenv1.UpdateSecretResponse](t)(a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref("db")})).GetSecret()
	if numbers(s) != "[1 2 3]" || s.GetVersions()[2].GetCopyOf() != 1 || s.GetVersions()[2].GetCreatedBy() == "" {
		t.Errorf("versions %v", s.GetVersions())
	}
	for version, want := range []string{"one", "two", "one"} {
		if got := c.valueOf(s, uint64(version+1)); got != want {
			t.Errorf("version %d is %q, want %q", version+1, got, want)
		}
	}
	s = must[*warrenv1.UpdateSecretResponse](t)(a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref(s.GetMeta().GetId()), Version: 2})).GetSecret()
	if got := c.valueOf(s, 4); got != "two" {
		t.Errorf("version 4 is %q", got)
	}
}

func TestUpdatesAtOnceAllBecomeVersions(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("db", "0")))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := a.UpdateSecret(ctx, c.newVersion("db", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := must[*warrenv1.Secret](t)(a.GetSecret(ctx, ref("db")))
	if numbers(s) != "[1 2 3 4 5 6 7 8 9]" {
		t.Fatalf("versions %s", numbers(s))
	}
	seen := map[string]bool{}
	for v := uint64(2); v <= 9; v++ {
		seen[c.valueOf(s, v)] = true
	}
	if len(seen) != 8 {
		t.Errorf("values were lost: %v", seen)
	}
}

func TestVersionsThatAreRefused(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("db", "one")))
	_, err := a.UpdateSecret(ctx, c.newVersion("none", "x"))
	wantError(t, err, codes.NotFound, `secret "none" does not exist`)
	_, err = a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("db"), Items: []*warrenv1.SealedItem{c.secretItem("other", "", "x")}})
	wantError(t, err, codes.InvalidArgument, "not sealed for it")
	_, err = a.UpdateSecret(ctx, c.newVersion("db", ""))
	wantError(t, err, codes.InvalidArgument, "is empty")
	_, err = a.UpdateSecret(ctx, c.newVersion("db", strings.Repeat("x", spec.MaxSecretBytes+1)))
	wantError(t, err, codes.InvalidArgument, "limit of 1048576 bytes")
	_, err = a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("db")})
	wantError(t, err, codes.InvalidArgument, "nothing is to be changed")
	_, err = a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("db"), RemoveLabels: []string{"a"}})
	wantError(t, err, codes.NotFound, `secret "db" has no label "a"`)
	_, err = a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("db"), Lifetime: durationpb.New(time.Second)})
	wantError(t, err, codes.InvalidArgument, "lifetime")
	_, err = a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref("db")})
	wantError(t, err, codes.FailedPrecondition, "no version before 1")
	_, err = a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref("db"), Version: 1})
	wantError(t, err, codes.FailedPrecondition, "at version 1 already")
	_, err = a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref("db"), Version: 7})
	wantError(t, err, codes.NotFound, `has no version 7`)

	must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, c.newVersion("db", "two")))
	must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, c.newVersion("db", "three")))
	p := must[*warrenv1.PruneSecretResponse](t)(a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("db"), Keep: 1}))
	if fmt.Sprint(p.GetDropped()) != "[1 2]" || numbers(p.GetSecret()) != "[3]" {
		t.Errorf("dropped %v, left %s", p.GetDropped(), numbers(p.GetSecret()))
	}
	_, err = a.RollbackSecret(ctx, &warrenv1.RollbackSecretRequest{Ref: ref("db"), Version: 1})
	wantError(t, err, codes.NotFound, "no version 1 any more: it was pruned")
	_, err = a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("db"), Keep: 1000})
	wantError(t, err, codes.InvalidArgument, "between 1 and 100")
	c.view(func(tx *store.ReadTx) error {
		if _, err := tx.SecretValues().Get("default", p.GetSecret().GetMeta().GetId(), store.Version(2)); err == nil {
			t.Error("the value of a pruned version is still stored")
		}
		return nil
	})
}

func TestAVersionInUseIsNotPruned(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("db", "one")))
	r := serviceRequest("api")
	r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "db"}}
	must[*warrenv1.CreateServiceResponse](t)(a.CreateService(ctx, r))
	c.running("api", 1)
	for _, value := range []string{"two", "three"} {
		must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, c.newVersion("db", value)))
	}
	p := must[*warrenv1.PruneSecretResponse](t)(a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("db"), Keep: 1}))
	if fmt.Sprint(p.GetDropped()) != "[2]" || numbers(p.GetSecret()) != "[1 3]" ||
		len(p.GetInUse()) != 1 || p.GetInUse()[0].GetUsedBy()[0].GetName() != "api-task-1" {
		t.Errorf("%v", p)
	}
	if tasks := p.GetSecret().GetTasks(); len(tasks) != 1 || tasks[0].GetWanted() != 1 || tasks[0].GetVersion() != 1 {
		t.Errorf("tasks %v", tasks)
	}
}

func TestAFileThatBecomesADirectoryIsWarnedOf(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("db", "one")))
	several := &warrenv1.UpdateSecretRequest{Ref: ref("db"), Items: []*warrenv1.SealedItem{c.secretItem("db", "user", "ann"), c.secretItem("db", "password", "x")}}
	if r := must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, several)); len(r.GetWarnings()) != 1 ||
		!strings.Contains(r.GetWarnings()[0], "/run/secrets/db/user instead of /run/secrets/db") {
		t.Errorf("warnings %q", r.GetWarnings())
	}
	if r := must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, c.newVersion("db", "y"))); len(r.GetWarnings()) != 1 ||
		!strings.Contains(r.GetWarnings()[0], "is a file now") {
		t.Errorf("warnings %q", r.GetWarnings())
	}
	if r := must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, c.newVersion("db", "z"))); len(r.GetWarnings()) != 0 {
		t.Errorf("warnings %q", r.GetWarnings())
	}
}

func TestASecretsLabelsAndExpiryChangeWithoutAVersion(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	r := c.secretRequest("db", "one")
	r.Labels, r.Lifetime = map[string]string{"draft": "", "owner": "bob"}, durationpb.New(90*24*time.Hour)
	s := must[*warrenv1.Secret](t)(a.CreateSecret(ctx, r))
	if left := time.Until(s.GetVersions()[0].GetExpiresAt().AsTime()); left < 89*24*time.Hour || left > 90*24*time.Hour {
		t.Errorf("it expires in %v", left)
	}
	s = must[*warrenv1.UpdateSecretResponse](t)(a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{
		Ref: ref("db"), SetLabels: map[string]string{"owner": "ann"}, RemoveLabels: []string{"draft"}, Lifetime: durationpb.New(0),
	})).GetSecret()
	if fmt.Sprint(s.GetMeta().GetLabels()) != "map[owner:ann]" || s.GetVersions()[0].GetExpiresAt() != nil || numbers(s) != "[1]" {
		t.Errorf("%v", s)
	}
}
