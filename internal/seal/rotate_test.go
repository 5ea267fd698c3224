package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func sealed(t testing.TB, r *Ring, c Context, value []byte) Box {
	t.Helper()
	p, err := PlaintextFrom(bytes.Clone(value))
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

func value(t testing.TB, r *Ring, c Context, b Box) ([]byte, error) {
	t.Helper()
	p, err := r.Open(c, b)
	if err != nil {
		return nil, err
	}
	defer p.Destroy()
	return bytes.Clone(p.Bytes()), nil
}

// steps are the rings of one rotation, in their order.
func steps(t testing.TB) []*Ring {
	t.Helper()
	first, err := NewRing(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	published, id, err := first.WithNewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	promoted, err := published.SealingWith(id)
	if err != nil {
		t.Fatal(err)
	}
	only, err := promoted.Only(id)
	if err != nil {
		t.Fatal(err)
	}
	rings := []*Ring{first, published, promoted, only}
	for _, r := range rings {
		t.Cleanup(r.Destroy)
	}
	return rings
}

func TestNeighboursInARotationOpenWhatEachOtherSeals(t *testing.T) {
	rings := steps(t)
	c := Context{ClusterID: "c1", Kind: "secret", Name: "db-password", Version: 1}
	for i := range rings {
		for j := max(0, i-1); j <= min(len(rings)-1, i+1); j++ {
			// Before the last step everything is sealed again.
			if i == 3 && j == 2 || i == 2 && j == 3 {
				continue
			}
			if got, err := value(t, rings[j], c, sealed(t, rings[i], c, []byte("x"))); string(got) != "x" {
				t.Errorf("step %d does not open what step %d sealed: %v", j, i, err)
			}
		}
	}
	if got := rings[1].KeyID(); got != rings[0].KeyID() {
		t.Error("a key seals before all have it")
	}
	if _, err := value(t, rings[3], c, sealed(t, rings[0], c, []byte("x"))); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("the old key still opens: %v", err)
	}
	if _, err := rings[0].SealingWith("0011223344556677"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("an unknown key seals: %v", err)
	}
}

func TestResealKeepsEveryValueAndItsContext(t *testing.T) {
	rings := steps(t)
	x := rings[2].Resealer()
	defer x.Destroy()
	rapid.Check(t, func(t *rapid.T) {
		c := Context{ClusterID: "c1", Kind: "secret", Namespace: "default", ObjectID: rapid.String().Draw(t, "id"), Version: rapid.Uint64().Draw(t, "version")}
		want := rapid.SliceOfN(rapid.Byte(), 0, 40<<10).Draw(t, "value")
		p, err := PlaintextFrom(slices.Clone(want))
		if err != nil {
			t.Fatal(err)
		}
		old, err := rings[0].Seal(rand.Reader, c, p)
		p.Destroy()
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := x.Reseal(rand.Reader, c, old)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := rings[3].Open(c, fresh)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Destroy()
		if !bytes.Equal(opened.Bytes(), want) {
			t.Fatal("the value changed")
		}
		other := c
		other.Version++
		if _, err := rings[3].Open(other, fresh); !errors.Is(err, ErrAltered) {
			t.Fatalf("it opens for another version: %v", err)
		}
		if again, err := x.Reseal(rand.Reader, c, fresh); err != nil || !bytes.Equal(again.Ciphertext, fresh.Ciphertext) {
			t.Fatalf("what is sealed with the present key was sealed again: %v", err)
		}
	})
}

func TestResealRefusesWhatWasAltered(t *testing.T) {
	rings := steps(t)
	x := rings[2].Resealer()
	defer x.Destroy()
	c := Context{ClusterID: "c1", Kind: "secret", Name: "a"}
	good := sealed(t, rings[0], c, []byte("value"))
	for name, spoil := range map[string]func(*Box){
		"flipped":      func(b *Box) { b.Ciphertext = bytes.Clone(b.Ciphertext); b.Ciphertext[0] ^= 1 },
		"cut":          func(b *Box) { b.Ciphertext = b.Ciphertext[:3] },
		"other IV":     func(b *Box) { b.IV = make([]byte, ivSize) },
		"short IV":     func(b *Box) { b.IV = nil },
		"renamed key":  func(b *Box) { b.KeyID = rings[2].KeyIDs()[1][:4] },
		"empty":        func(b *Box) { b.Ciphertext = nil },
		"retagged key": func(b *Box) { b.KeyID = "0011223344556677" },
	} {
		b := good
		spoil(&b)
		if _, err := x.Reseal(rand.Reader, c, b); !errors.Is(err, ErrAltered) && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := x.Reseal(rand.Reader, c, good); err != nil {
		t.Errorf("the good one is refused afterwards: %v", err)
	}
}

func BenchmarkReseal1KB(b *testing.B) {
	rings := steps(b)
	x := rings[2].Resealer()
	defer x.Destroy()
	c := Context{ClusterID: "c1", Kind: "secret", Name: "a"}
	box := sealed(b, rings[0], c, make([]byte, 1024))
	for b.Loop() {
		if _, err := x.Reseal(rand.Reader, c, box); err != nil {
			b.Fatal(err)
		}
	}
}
