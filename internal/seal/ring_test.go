package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func newRing(t testing.TB) *Ring {
	t.Helper()
	r, err := NewRing(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealBox(t testing.TB, r *Ring, c Context, value string) Box {
	t.Helper()
	p, err := PlaintextFrom([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	b, err := r.Seal(rand.Reader, c, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnyValueComesBackExactly(t *testing.T) {
	r := newRing(t)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOfN(rapid.Byte(), 0, 10_000).Draw(t, "value")
		c := drawContext(t, "context")
		p, err := PlaintextFrom(bytes.Clone(value))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Destroy()
		b, err := r.Seal(rand.Reader, c, p)
		if err != nil {
			t.Fatal(err)
		}
		if len(value) > 8 && bytes.Contains(b.Ciphertext, value) {
			t.Fatal("the value is in the ciphertext")
		}
		opened, err := r.Open(c, b)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Destroy()
		if !bytes.Equal(opened.Bytes(), value) {
			t.Fatalf("opened %x, sealed %x", opened.Bytes(), value)
		}
	})
}

func drawContext(t *rapid.T, label string) Context {
	// Few short strings, so that two draws are often nearly the same.
	word := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', '/', 0}), 0, 3, -1)
	return Context{
		ClusterID: word.Draw(t, label+" cluster"), Kind: word.Draw(t, label+" kind"),
		Namespace: word.Draw(t, label+" namespace"), ObjectID: word.Draw(t, label+" id"),
		Name: word.Draw(t, label+" name"), Version: rapid.Uint64Range(0, 2).Draw(t, label+" version"),
		Item: word.Draw(t, label+" item"),
	}
}

func TestDifferentContextsNeverAuthenticateTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawContext(t, "a"), drawContext(t, "b")
		ka, kb := rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "key a"), rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "key b")
		same := a == b && ka == kb
		if bytes.Equal(a.aad(ka), b.aad(kb)) != same {
			t.Fatalf("%+v %q and %+v %q", a, ka, b, kb)
		}
	})
}

func TestBoxOpensNowhereElse(t *testing.T) {
	r := newRing(t)
	b := sealBox(t, r, testContext, "value")
	for field, change := range map[string]func(*Context){
		"cluster":   func(c *Context) { c.ClusterID = "c2" },
		"kind":      func(c *Context) { c.Kind = "registry" },
		"namespace": func(c *Context) { c.Namespace = "prod" },
		"ID":        func(c *Context) { c.ObjectID = "secret-db-password-zzz999" },
		"name":      func(c *Context) { c.Name = "api-key" },
		"version":   func(c *Context) { c.Version++ },
		"item":      func(c *Context) { c.Item = "" },
	} {
		c := testContext
		change(&c)
		if _, err := r.Open(c, b); !errors.Is(err, ErrAltered) {
			t.Errorf("opened under another %s: %v", field, err)
		} else if !strings.Contains(err.Error(), c.Name) {
			t.Errorf("the error does not name the object: %v", err)
		}
	}
}

func TestChangedOrTruncatedBoxIsRefused(t *testing.T) {
	r := newRing(t)
	b := sealBox(t, r, testContext, "value")
	refuse := func(what string, changed Box) {
		t.Helper()
		if p, err := r.Open(testContext, changed); !errors.Is(err, ErrAltered) {
			t.Errorf("%s: %v, %v", what, p, err)
		}
	}
	for i := range len(b.Ciphertext) * 8 {
		c := b
		c.Ciphertext = bytes.Clone(b.Ciphertext)
		c.Ciphertext[i/8] ^= 1 << (i % 8)
		refuse("flipped bit", c)
	}
	for i := range ivSize * 8 {
		c := b
		c.IV = bytes.Clone(b.IV)
		c.IV[i/8] ^= 1 << (i % 8)
		refuse("flipped bit of the IV", c)
	}
	for n := range len(b.Ciphertext) {
		refuse("truncated", Box{b.KeyID, b.IV, b.Ciphertext[:n]})
	}
	refuse("extended", Box{b.KeyID, b.IV, append(bytes.Clone(b.Ciphertext), 0)})
	refuse("empty", Box{KeyID: b.KeyID})
	for _, n := range []int{0, 12, 15, 17} {
		refuse("other IV size", Box{b.KeyID, make([]byte, n), b.Ciphertext})
	}
	other := sealBox(t, r, testContext, "value")
	refuse("another's IV", Box{b.KeyID, other.IV, b.Ciphertext})
}

func TestKeyIDsAreAuthenticated(t *testing.T) {
	one, two := newRing(t), newRing(t)
	b := sealBox(t, two, testContext, "value")
	if _, err := one.Open(testContext, b); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), b.KeyID) {
		t.Errorf("opened with a ring that lacks the key: %v", err)
	}
	both := &Ring{keys: append(slices.Clone(one.keys), two.keys...)}
	p, err := both.Open(testContext, b)
	wantValue(t, p, err, "value")
	if got := sealBox(t, both, testContext, "x").KeyID; got != one.KeyID() {
		t.Errorf("sealed with key %s, not the first one", got)
	}
	b.KeyID = one.KeyID()
	if _, err := both.Open(testContext, b); !errors.Is(err, ErrAltered) {
		t.Errorf("opened under another key's ID: %v", err)
	}
	// The same key under two names: what was sealed as one is not the other's.
	alias := &Ring{keys: []dataKey{{"alias", two.keys[0].sealer}}}
	b.KeyID = "alias"
	if _, err := alias.Open(testContext, b); !errors.Is(err, ErrAltered) {
		t.Errorf("opened under a renamed key: %v", err)
	}
}

func TestIVsAreFresh(t *testing.T) {
	r := newRing(t)
	seen := make(map[string]bool)
	for range 1000 {
		b := sealBox(t, r, testContext, "value")
		if len(b.IV) != 16 || seen[string(b.IV)] {
			t.Fatalf("IV %x", b.IV)
		}
		seen[string(b.IV)] = true
	}
	if _, err := r.Seal(&failAfter{ivSize - 1}, testContext, plaintext(t, "value")); err == nil {
		t.Error("sealed with an IV that is not all random")
	}
	for n := range keyIDSize + aesKeySize {
		if _, err := NewRing(&failAfter{n}); err == nil {
			t.Errorf("made a ring of %d random bytes", n)
		}
	}
}

func TestRingOpensWithItsUnlockKeyAndClusterOnly(t *testing.T) {
	salt := bytes.Repeat([]byte{7}, SaltSize)
	unlock := unlockKey(t)
	derive := func(cluster string, k UnlockKey, salt []byte, iterations int) *KEK {
		kek, err := DeriveKEK(cluster, k, salt, iterations)
		if err != nil {
			t.Fatal(err)
		}
		return kek
	}
	r := newRing(t)
	b := sealBox(t, r, testContext, "value")
	wrapped, err := r.Wrap(rand.Reader, derive("c1", unlock, salt, MinIterations))
	if err != nil {
		t.Fatal(err)
	}
	again, err := UnwrapRing(derive("c1", unlock, salt, MinIterations), wrapped)
	if err != nil {
		t.Fatal(err)
	}
	p, err := again.Open(testContext, b)
	wantValue(t, p, err, "value")

	for name, kek := range map[string]*KEK{
		"another unlock key": derive("c1", unlockKey(t), salt, MinIterations),
		"another cluster":    derive("c2", unlock, salt, MinIterations),
		"another salt":       derive("c1", unlock, make([]byte, SaltSize), MinIterations),
		"another work":       derive("c1", unlock, salt, MinIterations+1),
	} {
		if _, err := UnwrapRing(kek, wrapped); !errors.Is(err, ErrWrap) {
			t.Errorf("%s: %v", name, err)
		}
	}
	kek := derive("c1", unlock, salt, MinIterations)
	for n := range wrapped {
		if _, err := UnwrapRing(kek, wrapped[:n]); !errors.Is(err, ErrWrap) {
			t.Fatalf("truncated to %d: %v", n, err)
		}
		flipped := bytes.Clone(wrapped)
		flipped[n] ^= 1
		if _, err := UnwrapRing(kek, flipped); !errors.Is(err, ErrWrap) {
			t.Fatalf("flipped at %d: %v", n, err)
		}
	}
}

// What parseRing reads was authenticated, but maybe written by another version.
func FuzzParseRing(f *testing.F) {
	p, err := newRing(f).marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(p.Bytes()))
	f.Add(append(bytes.Clone(p.Bytes()), p.Bytes()[1:]...))
	f.Add([]byte{ringFormat})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := PlaintextFrom(bytes.Clone(b))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Destroy()
		r, err := parseRing(in)
		if err != nil {
			return
		}
		defer r.Destroy()
		out, err := r.marshal()
		if err != nil || !out.Equal(in) {
			t.Errorf("%x is read, but written otherwise: %v", b, err)
		}
		out.Destroy()
	})
}

func TestRingWithAKeyTwiceIsRefused(t *testing.T) {
	p, err := newRing(t).marshal()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	twice := plaintext(t, string(p.Bytes())+string(p.Bytes()[1:]))
	if _, err := parseRing(twice); err == nil {
		t.Error("accepted")
	}
}

func FuzzOpen(f *testing.F) {
	r := newRing(f)
	b := sealBox(f, r, testContext, "value")
	f.Add(b.KeyID, b.IV, b.Ciphertext)
	f.Add(b.KeyID, b.IV, b.Ciphertext[:tagSize])
	f.Add("", []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, id string, iv, ciphertext []byte) {
		p, err := r.Open(testContext, Box{id, iv, ciphertext})
		if err != nil {
			return
		}
		defer p.Destroy()
		if id != b.KeyID || !bytes.Equal(iv, b.IV) || !bytes.Equal(ciphertext, b.Ciphertext) {
			t.Fatal("a forged box opens")
		}
	})
}
