package seal

import (
	"crypto/rand"
	"strings"
	"testing"
)

func unlockKey(t *testing.T) UnlockKey {
	t.Helper()
	k, err := NewUnlockKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Destroy)
	return k
}

func TestUnlockKeyIsReadAsAPersonTypesIt(t *testing.T) {
	k := unlockKey(t)
	text := k.Reveal()
	for _, typed := range []string{
		text, text + "\n", "  " + text + "\r\n", strings.ToUpper(text),
		unlockPrefix + strings.ReplaceAll(strings.TrimPrefix(text, unlockPrefix), "-", ""),
		strings.ReplaceAll(text, "-", "- "),
	} {
		got, err := ParseUnlockKey(typed)
		if err != nil {
			t.Fatalf("%q: %v", typed, err)
		}
		if !got.Equal(k) || got.Fingerprint() != k.Fingerprint() {
			t.Errorf("%q gives another key", typed)
		}
		got.Destroy()
	}
}

func TestMistypedUnlockKeysAreRefusedWithoutBeingQuoted(t *testing.T) {
	text := unlockKey(t).Reveal()
	digits := strings.TrimPrefix(text, unlockPrefix)
	bad := []string{"", "wrn-unlock-", digits, "SWMKEY-1-" + digits, text[:len(text)-1], text + "a",
		strings.Replace(text, digits[:1], "1", 1) + "!", strings.Repeat(text, 10)}
	for i := range text {
		if i >= len(unlockPrefix) && text[i] != '-' {
			other := byte('a')
			if text[i] == 'a' {
				other = 'b'
			}
			bad = append(bad, text[:i]+string(other)+text[i+1:])
		}
	}
	for _, typed := range bad {
		k, err := ParseUnlockKey(typed)
		if err == nil {
			t.Errorf("%q is accepted as %s", typed, k.Fingerprint())
			continue
		}
		if strings.Contains(err.Error(), digits[:8]) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}

func TestUnlockKeyNeedsAllItsRandomness(t *testing.T) {
	if _, err := NewUnlockKey(&failAfter{unlockKeySize - 1}); err == nil {
		t.Error("made a key of too few random bytes")
	}
}

func FuzzParseUnlockKey(f *testing.F) {
	f.Add("wrn-unlock-aaaqeaye-audaocaj-bifqydio-b4ibceqt-cqkrmfyy-denbwha5-dypukazf")
	f.Add("wrn-unlock-")
	f.Add("wrn-unlock-aaaqeaye-audaocaj")
	f.Add("")
	f.Fuzz(func(t *testing.T, typed string) {
		k, err := ParseUnlockKey(typed)
		if err != nil {
			return
		}
		defer k.Destroy()
		again, err := ParseUnlockKey(k.Reveal())
		if err != nil || !again.Equal(k) {
			t.Errorf("%q is read, but what it prints as is not: %v", typed, err)
		}
		again.Destroy()
	})
}

func TestKEKRefusesBadParameters(t *testing.T) {
	k, salt := unlockKey(t), make([]byte, SaltSize)
	for name, derive := range map[string]func() (*KEK, error){
		"no cluster":      func() (*KEK, error) { return DeriveKEK("", k, salt, MinIterations) },
		"no key":          func() (*KEK, error) { return DeriveKEK("c1", UnlockKey{}, salt, MinIterations) },
		"short salt":      func() (*KEK, error) { return DeriveKEK("c1", k, salt[:15], MinIterations) },
		"few iterations":  func() (*KEK, error) { return DeriveKEK("c1", k, salt, MinIterations-1) },
		"many iterations": func() (*KEK, error) { return DeriveKEK("c1", k, salt, MaxIterations+1) },
	} {
		if _, err := derive(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
