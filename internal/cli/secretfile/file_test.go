package secretfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/cuemby/warren/internal/seal"
)

const canary = "canary-61fe\x00\xff\n"

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func plaintext(t testing.TB, text string) *seal.Plaintext {
	t.Helper()
	p, err := seal.PlaintextFrom([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Destroy)
	return p
}

func entries(t testing.TB) []*Entry {
	return []*Entry{
		{Namespace: "default", Name: "db-password", Labels: map[string]string{"app": "db"}, Lifetime: 7, Keep: 3, Version: 1, CreatedAt: at, CreatedBy: "alice",
			Items: []Item{{"", plaintext(t, canary)}}},
		{Namespace: "default", Name: "db-password", Version: 2, CreatedAt: at, CopyOf: 1, ExpiresAt: at.Add(time.Hour), Items: []Item{{"", plaintext(t, canary+"2")}}},
		{Namespace: "prod", Name: "db-password", Version: 4, CreatedAt: at, Items: []Item{{"user", plaintext(t, "ann")}, {"pass", plaintext(t, strings.Repeat("x", 100_000))}}},
	}
}

func file(t testing.TB, to *Sealing) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, "c1", at, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries(t) {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, secrets := w.Counted(); n != 3 || secrets != 2 {
		t.Errorf("counted %d of %d", n, secrets)
	}
	return out.Bytes()
}

func cheap(t testing.TB, passphrase string) *Sealing {
	t.Helper()
	s, err := withPassphrase(plaintext(t, passphrase), 4)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func asking(t testing.TB, passphrase string) Opener {
	return Opener{Passphrase: func() (*seal.Plaintext, error) { return seal.PlaintextFrom([]byte(passphrase)) }}
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAnExportComesBackAsItWas(t *testing.T) {
	ann, bob := identity(t), identity(t)
	both, err := WithRecipients(ann.Recipient().String(), bob.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to   *Sealing
		with Opener
	}{
		"a passphrase":        {cheap(t, "correct horse"), asking(t, "correct horse")},
		"one of two":          {both, Opener{Identities: []age.Identity{identity(t), bob}}},
		"nothing encrypted":   {Plain(), Opener{}},
		"not asked if no key": {Plain(), Opener{Passphrase: func() (*seal.Plaintext, error) { return nil, errors.New("asked") }}},
	} {
		f := file(t, c.to)
		if !json.Valid(f) {
			t.Fatalf("%s: not JSON: %.300s", name, f)
		}
		if sealed := c.to.key != nil; sealed == bytes.Contains(f, []byte(`"ann"`)) && sealed {
			t.Errorf("%s: a value or a key is readable", name)
		}
		o, err := Open(f, c.with)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.ClusterID != "c1" || !o.CreatedAt.Equal(at) {
			t.Errorf("%s: the header says %+v", name, o.Header)
		}
		want := entries(t)
		n := 0
		err = o.Each(func(e *Entry) error {
			same(t, name, e, want[n])
			n++
			return nil
		})
		if err != nil || n != len(want) {
			t.Errorf("%s: %d entries, %v", name, n, err)
		}
	}
}

func same(t *testing.T, name string, got, want *Entry) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if !bytes.Equal(g, w) || len(got.Items) != len(want.Items) {
		t.Errorf("%s: got %s, want %s", name, g, w)
		return
	}
	for i, item := range want.Items {
		if got.Items[i].Key != item.Key || !got.Items[i].Value.Equal(item.Value) {
			t.Errorf("%s: item %q is another one", name, item.Key)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	ann := identity(t)
	recipients, err := WithRecipients(ann.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	byRecipient, byWord := file(t, recipients), file(t, cheap(t, "correct horse"))
	right := Opener{Identities: []age.Identity{ann}}
	changed := func(f []byte, from, to string) []byte {
		if !bytes.Contains(f, []byte(from)) {
			t.Fatalf("there is no %s", from)
		}
		return bytes.Replace(f, []byte(from), []byte(to), 1)
	}
	flipped := bytes.Clone(byRecipient)
	at := bytes.Index(flipped, []byte(`"payload":"`)) + 3000
	flipped[at] = map[bool]byte{true: 'B', false: 'A'}[flipped[at] == 'A']
	for name, c := range map[string]struct {
		file []byte
		with Opener
		want error
		says string
	}{
		"the wrong passphrase":  {byWord, asking(t, "battery staple"), ErrKey, "passphrase is wrong"},
		"no passphrase":         {byWord, Opener{}, ErrKey, ""},
		"another identity":      {byRecipient, Opener{Identities: []age.Identity{identity(t)}}, ErrKey, ann.Recipient().String()},
		"no identity":           {byRecipient, Opener{}, ErrKey, ann.Recipient().String()},
		"not JSON":              {[]byte("\x7fELF"), right, ErrForeign, ""},
		"empty":                 {nil, right, ErrForeign, ""},
		"other JSON":            {[]byte(`{"kind":"Volume"}`), right, ErrForeign, ""},
		"JSON of another shape": {[]byte(`[1]`), right, ErrForeign, ""},
		"a newer format":        {changed(byRecipient, `"format":1`, `"format":2`), right, nil, "newer Warren"},
		"half a file":           {byRecipient[:len(byRecipient)/2], right, ErrDamaged, ""},
		"a flipped character":   {flipped, right, ErrDamaged, ""},
		"an entry fewer":        {changed(byRecipient, `"entries":3`, `"entries":4`), right, ErrDamaged, "4 versions"},
		"no payload":            {[]byte(`{"kind":"warren-secrets","format":1,"key":{"kind":"recipients"}}`), right, ErrDamaged, ""},
		"no data":               {[]byte(`{"kind":"warren-secrets","format":1}`), right, ErrDamaged, ""},
		"an unknown key":        {changed(byRecipient, `"kind":"recipients"`, `"kind":"moonlight"`), right, ErrDamaged, ""},
		"a work without end":    {changed(byWord, `"work":4`, `"work":60`), asking(t, "correct horse"), ErrDamaged, ""},
		"a payload without age": {changed(changed(byRecipient, `"payload":"YWdl`, `"payload":"AAAA`), `"format":1`, `"format":1`), right, ErrDamaged, ""},
	} {
		_, err := Open(c.file, c.with)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "age1", ann.String(), "ssh-ed25519 AAAA"} {
		if _, err := WithRecipients(bad); err == nil {
			t.Errorf("%q is a recipient", bad)
		}
	}
	if _, err := WithPassphrase(plaintext(t, "")); err == nil {
		t.Error("an empty passphrase is one")
	}
}

func TestAValueThatIsCutOffIsNotTaken(t *testing.T) {
	f := file(t, Plain())
	for n := range len(f) {
		if n > 2000 && n < len(f)-2000 {
			continue
		}
		if _, err := Open(f[:n], Opener{}); err == nil && n < len(f)-1 {
			t.Fatalf("the first %d of %d bytes are an export", n, len(f))
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(file(f, Plain()))
	f.Add(file(f, cheap(f, "x")))
	f.Add([]byte(`{"kind":"warren-secrets","format":1,"data":[{"items":[{"key":"","value":"AA=="}]}],"entries":1,"secrets":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte(`"work"`)) && !bytes.Contains(b, []byte(`"work":4,`)) {
			return // it may take as long as it says
		}
		o, err := Open(b, asking(t, "x"))
		if err != nil {
			return
		}
		n := 0
		if err := o.Each(func(*Entry) error { n++; return nil }); err != nil || n != o.Entries {
			t.Errorf("an export that was opened: %d entries, %v", n, err)
		}
	})
}
