package seal

import (
	"bytes"
	"errors"
	"sync"
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

// A receiver that knows the sender already is as strict as one that does not.
func TestManyEnvelopesOfOneSender(t *testing.T) {
	key := envelopeKey(t)
	e, err := NewEnvelopes(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Destroy()
	seen := map[string]bool{}
	for i := range 3 {
		info := ToClusterInfo("c1", "default", "same", "")
		sealed, err := e.Seal(info, plaintext(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		if rest := string(sealed[headSize:]); seen[rest] {
			t.Error("the same value is sealed alike twice")
		} else {
			seen[rest] = true
		}
		p, err := key.Open(info, sealed)
		wantValue(t, p, err, "value")
		if got := len(key.known.by); got != 1 {
			t.Errorf("%d senders are known after envelope %d of one", got, i)
		}
		if _, err := key.Open(ToClusterInfo("c1", "default", "other", ""), sealed); !errors.Is(err, ErrEnvelope) {
			t.Errorf("under another name: %v", err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := key.Open(info, sealed); !errors.Is(err, ErrEnvelope) {
			t.Errorf("damaged: %v", err)
		}
	}
	key.Destroy()
	if len(key.known.by) != 0 {
		t.Error("a destroyed key knows senders")
	}
}

func TestFewSendersAreRemembered(t *testing.T) {
	key := envelopeKey(t)
	var first, last []byte
	for range maxCorrespondents + 2 {
		sealed, err := SealTo(key.PublicKey(), nil, plaintext(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = sealed
		}
		last = sealed
		p, err := key.Open(nil, sealed)
		wantValue(t, p, err, "value")
	}
	if got := len(key.known.by); got != maxCorrespondents || len(key.known.order) != got {
		t.Errorf("%d senders are remembered", got)
	}
	if key.known.by[string(first[:headSize])] != nil || key.known.by[string(last[:headSize])] == nil {
		t.Error("the oldest is not the one that was forgotten")
	}
	p, err := key.Open(nil, first)
	wantValue(t, p, err, "value")

	last[headSize+ivSize] ^= 1
	fresh := &EnvelopeKey{private: key.private}
	if _, err := fresh.Open(nil, last); !errors.Is(err, ErrEnvelope) || len(fresh.known.by) != 0 {
		t.Errorf("who sent rubbish: %v, %d remembered", err, len(fresh.known.by))
	}
}

func TestEnvelopesAreOpenedByManyAtOnce(t *testing.T) {
	key := envelopeKey(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range maxCorrespondents / 2 {
				p, err := PlaintextFrom([]byte("value"))
				if err != nil {
					t.Error(err)
					return
				}
				sealed, err := SealTo(key.PublicKey(), nil, p)
				p.Destroy()
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					opened, err := key.Open(nil, sealed)
					if err != nil || string(opened.Bytes()) != "value" {
						t.Errorf("opened %v", err)
						return
					}
					opened.Destroy()
				}
			}
		})
	}
	all.Wait()
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
