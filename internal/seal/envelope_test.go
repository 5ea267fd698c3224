package seal

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func envelopeKey(t testing.TB) *EnvelopeKey {
	t.Helper()
	k, err := GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEnvelopeOpensForItsKeyAndPurposeOnly(t *testing.T) {
	key, other := envelopeKey(t), envelopeKey(t)
	info := ToTaskInfo("c1", "n1", "t1", "s1", 1, "item")
	sealed, err := SealTo(key.PublicKey(), info, plaintext(t, "value"))
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != len("value")+EnvelopeOverhead {
		t.Errorf("an envelope of 5 bytes has %d", len(sealed))
	}
	p, err := key.Open(info, sealed)
	wantValue(t, p, err, "value")

	if _, err := other.Open(info, sealed); !errors.Is(err, ErrEnvelope) {
		t.Errorf("another key: %v", err)
	}
	for name, info := range map[string][]byte{
		"another cluster": ToTaskInfo("c2", "n1", "t1", "s1", 1, "item"),
		"another node":    ToTaskInfo("c1", "n2", "t1", "s1", 1, "item"),
		"another task":    ToTaskInfo("c1", "n1", "t2", "s1", 1, "item"),
		"another secret":  ToTaskInfo("c1", "n1", "t1", "s2", 1, "item"),
		"another version": ToTaskInfo("c1", "n1", "t1", "s1", 2, "item"),
		"another item":    ToTaskInfo("c1", "n1", "t1", "s1", 1, ""),
		"another purpose": ToClusterInfo("c1", "n1", "t1", "item"),
		"nothing":         nil,
	} {
		if _, err := key.Open(info, sealed); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		if _, err := key.Open(info, flipped); !errors.Is(err, ErrEnvelope) {
			t.Fatalf("flipped at %d: %v", i, err)
		}
		if _, err := key.Open(info, sealed[:i]); !errors.Is(err, ErrEnvelope) {
			t.Fatalf("truncated to %d: %v", i, err)
		}
	}
}

func TestEnvelopeKeyComesBackFromItsBytes(t *testing.T) {
	key := envelopeKey(t)
	p, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	again, err := ParseEnvelopeKey(p)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealTo(key.PublicKey(), nil, plaintext(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := again.Open(nil, sealed)
	wantValue(t, opened, err, "")
	if _, err := ParseEnvelopeKey(plaintext(t, "short")); err == nil {
		t.Error("read a key of five bytes")
	}
	if _, err := SealTo([]byte("no key"), nil, plaintext(t, "x")); err == nil {
		t.Error("sealed to no key")
	}
}

func TestInfosOfDifferentPurposesAreNeverTheSame(t *testing.T) {
	word := rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', '/', 0}), 0, 3, -1)
	type fields struct {
		a, b, c, d, e string
		version       uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func() fields {
			return fields{word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c"), word.Draw(t, "d"), word.Draw(t, "e"),
				rapid.Uint64Range(0, 2).Draw(t, "version")}
		}
		task := func(f fields) []byte { return ToTaskInfo(f.a, f.b, f.c, f.d, f.version, f.e) }
		x, y := draw(), draw()
		if bytes.Equal(task(x), task(y)) != (x == y) {
			t.Fatalf("%+v and %+v", x, y)
		}
		if bytes.Equal(ToClusterInfo(x.a, x.b, x.c, x.d), ToClusterInfo(y.a, y.b, y.c, y.d)) !=
			(x.a == y.a && x.b == y.b && x.c == y.c && x.d == y.d) {
			t.Fatalf("%+v and %+v", x, y)
		}
		if bytes.Equal(ToClusterInfo(x.a, x.b, x.c, x.d), ToClusterRegistryInfo(y.a, y.b)) {
			t.Fatalf("%+v and registry %+v", x, y)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	key := envelopeKey(f)
	p, err := PlaintextFrom([]byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	info := ToClusterInfo("c1", "default", "a", "")
	sealed, err := SealTo(key.PublicKey(), info, p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key.PublicKey(), sealed)
	f.Add([]byte{}, sealed[:EnvelopeOverhead])
	f.Fuzz(func(t *testing.T, public, envelope []byte) {
		if p, err := key.Open(info, envelope); err == nil {
			p.Destroy()
		}
		value, err := PlaintextFrom([]byte("value"))
		if err != nil {
			t.Fatal(err)
		}
		defer value.Destroy()
		_, _ = SealTo(public, info, value)
	})
}
