package server_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/seal"
)

// export reads an export as its client does: name, version and values of each.
func (c *cluster) export(r *warrenv1.ExportSecretsRequest) (lines []string, err error) {
	c.t.Helper()
	return c.exportBy(c.admin(), r)
}

func (c *cluster) exportBy(a api, r *warrenv1.ExportSecretsRequest) (lines []string, err error) {
	c.t.Helper()
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		c.t.Fatal(err)
	}
	defer key.Destroy()
	r.SealingKey = key.PublicKey()
	stream, err := a.ExportSecrets(ctx, r)
	for err == nil {
		var e *warrenv1.ExportedSecret
		if e, err = stream.Recv(); err != nil {
			break
		}
		m := e.GetSecret().GetMeta()
		line := fmt.Sprintf("%s/%s %d", m.GetNamespace(), m.GetName(), e.GetVersion().GetNumber())
		for _, item := range e.GetItems() {
			p, err := key.Open(seal.ToExportInfo(clusterID, m.GetNamespace(), m.GetId(), e.GetVersion().GetNumber(), item.GetKey()), item.GetCiphertext())
			if err != nil {
				c.t.Fatal(err)
			}
			line += fmt.Sprintf(" %s=%s", item.GetKey(), p.Bytes())
			p.Destroy()
		}
		lines = append(lines, line)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return lines, err
}

// in is a version that is imported.
func (c *cluster) in(namespace, name string, version uint64, value string) *warrenv1.ImportSecretsRequest {
	return &warrenv1.ImportSecretsRequest{
		Secret:  &warrenv1.Secret{Meta: &warrenv1.Meta{Namespace: namespace, Name: name, Labels: map[string]string{"from": "file"}}},
		Version: &warrenv1.SecretVersion{Number: version, CreatedBy: "ann"},
		Items:   []*warrenv1.SealedItem{c.sealed(seal.ToClusterInfo(clusterID, namespace, name, ""), "", value)},
	}
}

func (c *cluster) imports(onConflict warrenv1.OnConflict, versions ...*warrenv1.ImportSecretsRequest) (string, error) {
	c.t.Helper()
	stream, err := c.admin().ImportSecrets(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range append([]*warrenv1.ImportSecretsRequest{{OnConflict: onConflict}}, versions...) {
		if err := stream.Send(r); err != nil {
			break // why, CloseAndRecv tells
		}
	}
	answer, err := stream.CloseAndRecv()
	var lines []string
	for _, s := range answer.GetSecrets() {
		word := strings.ToLower(strings.TrimPrefix(s.GetOutcome().String(), "IMPORT_OUTCOME_"))
		lines = append(lines, fmt.Sprintf("%s %s %d", s.GetName(), word, s.GetVersion()))
	}
	return strings.Join(lines, ", "), err
}

// loose counts stored values that belong to no version of a secret.
func (c *cluster) loose() (n int) {
	c.view(func(tx *store.ReadTx) error {
		known := map[string]bool{}
		for key, secret := range tx.Secrets().List() {
			for _, v := range secret.GetVersions() {
				known[string(key)+"/"+store.Version(v.GetNumber())] = true
			}
		}
		for key := range tx.SecretValues().Keys() {
			if !known[string(key)] {
				n++
			}
		}
		for range tx.Staged().Keys() {
			n++
		}
		return nil
	})
	return n
}

func TestSecretsComeBackFromAnExport(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	if _, err := a.CreateSecret(ctx, c.secretRequest("db-password", "one")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("db-password"), Items: []*warrenv1.SealedItem{c.secretItem("db-password", "", "two")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateSecret(ctx, &warrenv1.CreateSecretRequest{Name: "tls", Items: []*warrenv1.SealedItem{c.secretItem("tls", "crt", "c"), c.secretItem("tls", "key", "k")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SetRegistry(ctx, &warrenv1.SetRegistryRequest{Host: "r.example.com", Username: "u", Password: c.sealed(seal.ToClusterRegistryInfo(clusterID, "r.example.com"), "", "pull")}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.export(&warrenv1.ExportSecretsRequest{}); err != nil || strings.Join(got, "; ") !=
		"default/db-password 1 =one; default/db-password 2 =two; default/tls 1 crt=c key=k" {
		t.Errorf("exported %q, %v", got, err)
	}
	if got, err := c.export(&warrenv1.ExportSecretsRequest{Names: []string{"tls"}}); err != nil || len(got) != 1 {
		t.Errorf("exported %q, %v", got, err)
	}
	_, err := c.export(&warrenv1.ExportSecretsRequest{Names: []string{"tls", "nothing"}})
	wantError(t, err, codes.NotFound, `secret "nothing" does not exist`)
	records := told(c.audit(&warrenv1.ListAuditRequest{}))
	if strings.Count(records, "alice exported secret") != 3 {
		t.Errorf("recorded\n%s", records)
	}
	stream, err := warrenv1.NewSecretsClient(c.dial("rita", warrenv1.Role_ROLE_READER)).ExportSecrets(ctx, &warrenv1.ExportSecretsRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a reader exports: %v", err)
	}
}

func TestImports(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	if _, err := a.CreateSecret(ctx, c.secretRequest("there", "old")); err != nil {
		t.Fatal(err)
	}
	const fail, skip, update = warrenv1.OnConflict_ON_CONFLICT_FAIL, warrenv1.OnConflict_ON_CONFLICT_SKIP, warrenv1.OnConflict_ON_CONFLICT_UPDATE
	all := func() []*warrenv1.ImportSecretsRequest {
		return []*warrenv1.ImportSecretsRequest{
			c.in("default", "new", 3, "three"), c.in("default", "new", 7, "seven"),
			c.in("default", "there", 1, "older"), c.in("default", "there", 2, "new"),
		}
	}
	_, err := c.imports(fail, all()...)
	if hint := wantError(t, err, codes.AlreadyExists, "secret there exists already: nothing was imported"); !strings.Contains(hint, "--on-conflict skip") {
		t.Errorf("hint %q", hint)
	}
	if _, err := a.GetSecret(ctx, ref("new")); status.Code(err) != codes.NotFound || c.loose() != 0 {
		t.Errorf("half of it was imported: %v, %d values", err, c.loose())
	}
	if got, err := c.imports(skip, all()...); err != nil || got != "new created 7, there skipped 1" {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := c.imports(update, all()...); err != nil || got != "new unchanged 7, there updated 2" {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := c.imports(update, all()...); err != nil || got != "new unchanged 7, there unchanged 2" {
		t.Errorf("again: %s, %v", got, err)
	}
	if got, err := c.export(&warrenv1.ExportSecretsRequest{}); err != nil || strings.Join(got, "; ") !=
		"default/new 3 =three; default/new 7 =seven; default/there 1 =old; default/there 2 =new" {
		t.Errorf("there is now %q, %v", got, err)
	}
	s, err := a.GetSecret(ctx, ref("new"))
	if err != nil || s.GetMeta().GetLabels()["from"] != "file" || s.GetVersions()[0].GetCreatedBy() != "ann" || s.GetVersions()[1].GetSize() != 5 {
		t.Errorf("imported as %v, %v", s, err)
	}
	if n := c.loose(); n != 0 {
		t.Errorf("%d values belong to nobody", n)
	}
	if records := told(c.audit(&warrenv1.ListAuditRequest{Secret: "new"})); records != "alice imported secret new\nalice exported secret new" {
		t.Errorf("recorded %s", records)
	}
}

func TestImportsThatAreRefused(t *testing.T) {
	c := newCluster(t)
	for name, r := range map[string]struct {
		versions []*warrenv1.ImportSecretsRequest
		says     string
	}{
		"an old version after a newer": {[]*warrenv1.ImportSecretsRequest{c.in("default", "a", 2, "x"), c.in("default", "a", 1, "x")}, "version 1 of secret \"a\" comes after version 2"},
		"version 0":                    {[]*warrenv1.ImportSecretsRequest{c.in("default", "a", 0, "x")}, "version 0"},
		"a secret twice":               {[]*warrenv1.ImportSecretsRequest{c.in("default", "a", 1, "x"), c.in("default", "b", 1, "x"), c.in("default", "a", 2, "x")}, "twice"},
		"an empty value":               {[]*warrenv1.ImportSecretsRequest{c.in("default", "a", 1, "x"), c.in("default", "b", 1, "")}, "is empty"},
		"a bad name":                   {[]*warrenv1.ImportSecretsRequest{c.in("default", "a/b", 1, "x")}, "not valid"},
		"the system's":                 {[]*warrenv1.ImportSecretsRequest{c.in("warren", "a", 1, "x")}, "reserved"},
		"no value":                     {[]*warrenv1.ImportSecretsRequest{{Secret: &warrenv1.Secret{Meta: &warrenv1.Meta{Name: "a"}}}}, "no value"},
		"sealed for another": {[]*warrenv1.ImportSecretsRequest{{
			Secret: &warrenv1.Secret{Meta: &warrenv1.Meta{Name: "a"}}, Version: &warrenv1.SecretVersion{Number: 1}, Items: c.in("default", "b", 1, "x").GetItems(),
		}}, "not sealed for it"},
	} {
		_, err := c.imports(warrenv1.OnConflict_ON_CONFLICT_FAIL, r.versions...)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(status.Convert(err).Message(), r.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stream, err := c.admin().ImportSecrets(ctx)
	if err == nil {
		_, err = stream.CloseAndRecv()
	}
	wantError(t, err, codes.InvalidArgument, "begins with")
	if n := c.loose(); n != 0 {
		t.Errorf("%d values belong to nobody", n)
	}
	c.view(func(tx *store.ReadTx) error {
		for key := range tx.Secrets().Keys() {
			t.Errorf("%s was made", key)
		}
		return nil
	})
}

// An import larger than a transaction is staged in parts, and still happens in
// one moment.
func TestALargeImportHappensAtOnce(t *testing.T) {
	c := newCluster(t)
	var versions []*warrenv1.ImportSecretsRequest
	for i := range 30 {
		versions = append(versions, c.in("default", fmt.Sprint("s", i), 1, strings.Repeat("x", 100_000)))
	}
	partly := make(chan int, 1)
	w := c.store.Watch(store.TableSecrets, store.TableStaged)
	defer w.Close()
	go func() {
		for staged := 0; ; {
			if _, err := w.Next(t.Context()); err != nil {
				partly <- -1
				return
			}
			secrets := 0
			_ = c.store.ViewStale(t.Context(), func(tx *store.ReadTx) error {
				for range tx.Secrets().Keys() {
					secrets++
				}
				for range tx.Staged().Keys() {
					staged++
				}
				return nil
			})
			if secrets > 0 {
				partly <- secrets
				return
			}
		}
	}()
	if _, err := c.imports(warrenv1.OnConflict_ON_CONFLICT_FAIL, versions...); err != nil {
		t.Fatal(err)
	}
	if n := <-partly; n != 30 {
		t.Errorf("%d secrets were seen first, not 30", n)
	}
	if n := c.loose(); n != 0 {
		t.Errorf("%d values belong to nobody", n)
	}
}

// Somebody else is faster: what they made stays, what was staged goes.
func TestAnImportThatIsOvertakenLeavesNothing(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	if _, err := a.CreateSecret(ctx, c.secretRequest("there", "old")); err != nil {
		t.Fatal(err)
	}
	stream, err := a.ImportSecrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*warrenv1.ImportSecretsRequest{
		{OnConflict: warrenv1.OnConflict_ON_CONFLICT_UPDATE}, c.in("default", "there", 1, "mine"), c.in("default", "new", 1, "mine"),
	} {
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	// A second one that waits for nobody; what the first has read is old then.
	deadline := time.Now().Add(5 * time.Second)
	for version := uint64(1); time.Now().Before(deadline) && version < 4; version++ {
		if _, err := a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("there"), Items: []*warrenv1.SealedItem{c.secretItem("there", "", fmt.Sprint("theirs", version))}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	if err != nil && status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := c.loose(); n != 0 {
		t.Errorf("%d values belong to nobody", n)
	}
	if _, err := c.export(&warrenv1.ExportSecretsRequest{}); err != nil {
		t.Errorf("a value is lost: %v", err)
	}
}
