package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
)

// raw reads a row as it lies in the database.
func (c *cluster) raw(key string) []byte {
	c.t.Helper()
	snapshot, err := c.state.Snapshot()
	if err != nil {
		c.t.Fatal(err)
	}
	defer snapshot.Close()
	row, version := snapshot.Get([]byte(key))
	if version == 0 {
		c.t.Fatalf("there is no row %s", key)
	}
	return bytes.Clone(row)
}

// put changes a row behind everybody's back; nil removes it.
func (c *cluster) put(key string, row []byte) {
	c.t.Helper()
	op := &storepb.Operation{Key: []byte(key), Kind: &storepb.Operation_Put{Put: row}}
	if row == nil {
		op.Kind = &storepb.Operation_Delete{Delete: true}
	}
	if _, err := c.state.Propose(ctx, &storepb.Transaction{Operations: []*storepb.Operation{op}}); err != nil {
		c.t.Fatal(err)
	}
}

// two makes two secrets, the first with two versions, and gives the keys of
// their rows: the record, what leads to it, and the value of each version.
func (c *cluster) two(a api) (record, name [2]string, value [2][]string) {
	c.t.Helper()
	for i, n := range []string{"first", "second"} {
		s, err := a.CreateSecret(ctx, c.secretRequest(n, n+"1"))
		if err != nil {
			c.t.Fatal(err)
		}
		record[i], name[i] = "secret/default/"+s.GetMeta().GetId(), "name/secret/default/"+n
		for v := range uint64(2) {
			value[i] = append(value[i], "secretvalue/default/"+s.GetMeta().GetId()+"/"+store.Version(v+1))
		}
	}
	return record, name, value
}

// revalue gives a secret a new value.
func (c *cluster) revalue(name, value string) {
	c.t.Helper()
	must[*warrenv1.UpdateSecretResponse](c.t)(c.admin().UpdateSecret(ctx, c.newVersion(name, value)))
}

// Whoever can write to the database cannot have another value used than the one
// that belongs there: each try is refused, named, and leaves the other secret
// readable.
func TestChangedRecordsAreRefused(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	record, name, value := c.two(a)
	old := c.raw(record[0])
	oldWitness := c.raw("witness/" + record[0])
	c.revalue("first", "first2")
	second := value[1][0]
	for what, try := range map[string]struct {
		key string
		row []byte
	}{
		"an old state of the record":      {record[0], old},
		"an old voucher":                  {"witness/" + record[0], oldWitness},
		"no voucher":                      {"witness/" + record[0], nil},
		"another's record":                {record[0], c.raw(record[1])},
		"another's voucher":               {"witness/" + record[0], c.raw("witness/" + record[1])},
		"a record that is cut off":        {record[0], old[:len(old)-3]},
		"a record of nothing":             {record[0], []byte{}},
		"a record that is none":           {record[0], []byte("\xff\xff\xff")},
		"a name that leads to another":    {name[0], c.raw(name[1])},
		"another's value":                 {value[0][1], c.raw(second)},
		"another version's value":         {value[0][1], c.raw(value[0][0])},
		"a value that is cut off":         {value[0][1], c.raw(value[0][1])[:60]},
		"a value with a flipped last bit": {value[0][1], flip(c.raw(value[0][1]), -1)},
	} {
		before := c.raw(try.key)
		c.put(try.key, try.row)
		_, err := c.export(&warrenv1.ExportSecretsRequest{Names: []string{"first"}})
		if err == nil || !strings.Contains(err.Error(), "first") && !strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "first2") {
			t.Errorf("%s: %v", what, err)
		}
		if got, err := c.export(&warrenv1.ExportSecretsRequest{Names: []string{"second"}}); err != nil || len(got) != 1 {
			t.Errorf("%s: the other secret: %v, %v", what, got, err)
		}
		list, err := a.ListSecrets(ctx, &warrenv1.Filter{})
		if err != nil || len(list.GetSecrets()) != 2 {
			t.Errorf("%s: the list is %v, %v", what, list, err)
		}
		for _, s := range list.GetSecrets() {
			if s.GetMeta().GetName() == "second" && s.GetAltered() {
				t.Errorf("%s: the other secret counts as altered", what)
			}
		}
		c.put(try.key, before)
		if _, err := c.export(&warrenv1.ExportSecretsRequest{}); err != nil {
			t.Fatalf("%s, put right again: %v", what, err)
		}
	}
}

func TestAnOldStatePutBackIsNotUsed(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	record, _, _ := c.two(a)
	old := c.raw(record[0])
	c.revalue("first", "first2")
	c.put(record[0], old)
	_, err := a.GetSecret(ctx, ref("first"))
	hint := wantError(t, err, codes.FailedPrecondition, `secret "first" is not used: its record was altered in the database, or an old state of it was put back`)
	if !strings.Contains(hint, "warren secret delete first --force") {
		t.Errorf("hint %q", hint)
	}
	_, err = a.UpdateSecret(ctx, &warrenv1.UpdateSecretRequest{Ref: ref("first"), SetLabels: map[string]string{"a": "b"}})
	wantError(t, err, codes.FailedPrecondition, "is not used")
	r := serviceRequest("api")
	r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "first"}}
	if _, err = a.CreateService(ctx, r); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a service with it: %v", err)
	}
	list, err := a.ListSecrets(ctx, &warrenv1.Filter{})
	if err != nil || !list.GetSecrets()[0].GetAltered() || list.GetSecrets()[1].GetAltered() {
		t.Errorf("the list is %v, %v", list, err)
	}
	// It can be deleted, and made anew.
	if _, err := a.DeleteSecret(ctx, &warrenv1.DeleteSecretRequest{Ref: ref("first")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateSecret(ctx, c.secretRequest("first", "new")); err != nil {
		t.Fatal(err)
	}
	c.put(record[0], old) // a deleted one comes back as nobody's
	if got, err := c.export(&warrenv1.ExportSecretsRequest{Names: []string{"first"}}); err != nil || len(got) != 1 || !strings.HasSuffix(got[0], "=new") {
		t.Errorf("exported %v, %v", got, err)
	}
}

func flip(row []byte, at int) []byte {
	if at < 0 {
		at += len(row)
	}
	row[at] ^= 1
	return row
}

// Whatever is done to one row of a secret, nothing but its own newest value, or
// a refusal, comes out of it, and the other secret is readable.
func TestNoChangeOfARowGivesAnotherValue(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	record, name, value := c.two(a)
	c.revalue("first", "first2")
	keys := []string{record[0], "witness/" + record[0], name[0], value[0][0], value[0][1]}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom(keys).Draw(t, "row")
		before := c.raw(key)
		row := bytes.Clone(before)
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			row = flip(row, rand.IntN(len(row)))
		case 1:
			row = row[:rapid.IntRange(0, len(row)-1).Draw(t, "length")]
		case 2:
			row = append(row, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "tail")...)
		case 3:
			row = c.raw(rapid.SampledFrom(keys).Draw(t, "other"))
		}
		c.put(key, row)
		got, err := c.exportBy(a, &warrenv1.ExportSecretsRequest{Names: []string{"first"}})
		if err == nil && fmt.Sprint(got) != "[default/first 1 =first1 default/first 2 =first2]" {
			t.Errorf("%q came out", got)
		}
		if err != nil && strings.Contains(err.Error(), "first1") {
			t.Errorf("an error tells a value: %v", err)
		}
		if got, err := c.exportBy(a, &warrenv1.ExportSecretsRequest{Names: []string{"second"}}); err != nil || fmt.Sprint(got) != "[default/second 1 =second1]" {
			t.Errorf("the other secret is %v, %v", got, err)
		}
		c.put(key, before)
	})
}

// FuzzStoredValue opens what lies in the database in the place of a value.
func FuzzStoredValue(f *testing.F) {
	keys, err := vault.Create(clusterID, "test", time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(keys.Vault.Close)
	o := vault.Object{Kind: vault.Secret, Namespace: "default", ID: "secret-a-aaaaaa", Name: "a", Version: 1}
	p, err := seal.PlaintextFrom([]byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	defer p.Destroy()
	envelope, err := seal.SealTo(keys.Cluster.GetSealingKey(), seal.ToClusterInfo(clusterID, o.Namespace, o.Name, ""), p)
	items, _, err2 := keys.Vault.Accept(o, []*warrenv1.SealedItem{{Ciphertext: envelope}})
	if err := errors.Join(err, err2); err != nil {
		f.Fatal(err)
	}
	box := items[0].GetBox()
	f.Add(box.GetKeyId(), box.GetIv(), box.GetCiphertext(), "", o.Version)
	f.Add("", []byte{}, []byte{}, "", uint64(0))
	f.Fuzz(func(t *testing.T, keyID string, iv, ciphertext []byte, item string, version uint64) {
		same := keyID == box.GetKeyId() && bytes.Equal(iv, box.GetIv()) && bytes.Equal(ciphertext, box.GetCiphertext()) && item == "" && version == 1
		other := o
		other.Version = version
		key, err := seal.GenerateEnvelopeKey()
		if err != nil {
			t.Fatal(err)
		}
		defer key.Destroy()
		stored := []*storepb.SecretItem{{Key: item, Box: &storepb.SealedBox{KeyId: keyID, Iv: iv, Ciphertext: ciphertext}}}
		_, err = keys.Vault.Deliver(other, stored, vault.Recipient{NodeID: "n", TaskID: "t", SealingKey: key.PublicKey()})
		if (err == nil) != same {
			t.Errorf("opened: %v", err == nil)
		}
	})
}
