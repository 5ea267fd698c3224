package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// What another implementation computed (testdata/known_answers.py): a change
// that breaks this breaks every cluster's stored secrets.
func TestFormatsAreThoseOfAnotherImplementation(t *testing.T) {
	var known struct {
		UnlockKey            string `json:"unlock_key"`
		UnlockKeyFingerprint string `json:"unlock_key_fingerprint"`
		Salt                 string
		WrappedRing          string `json:"wrapped_ring"`
		Boxes                []struct {
			KeyID          string `json:"key_id"`
			IV, Ciphertext string
		}
		EnvelopeSeed string `json:"envelope_seed"`
		Envelopes    map[string]string
	}
	file, err := os.ReadFile("testdata/known_answers.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &known); err != nil {
		t.Fatal(err)
	}

	unlock, err := ParseUnlockKey(known.UnlockKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := unlock.Reveal(); got != known.UnlockKey {
		t.Errorf("Reveal: %s, want %s", got, known.UnlockKey)
	}
	if got := unlock.Fingerprint(); got != known.UnlockKeyFingerprint {
		t.Errorf("Fingerprint: %s, want %s", got, known.UnlockKeyFingerprint)
	}

	kek, err := DeriveKEK("c1", unlock, unhex(t, known.Salt), MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := UnwrapRing(kek, unhex(t, known.WrappedRing))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Wrap(bytes.NewReader(bytes.Repeat([]byte{0x11}, 16)), kek); err != nil || !bytes.Equal(got, unhex(t, known.WrappedRing)) {
		t.Errorf("Wrap: %x, %v", got, err)
	}
	for _, b := range known.Boxes {
		p, err := ring.Open(testContext, Box{b.KeyID, unhex(t, b.IV), unhex(t, b.Ciphertext)})
		wantValue(t, p, err, "mySecurePassword123")
	}
	box, err := ring.Seal(bytes.NewReader(bytes.Repeat([]byte{0x22}, 16)), testContext, plaintext(t, "mySecurePassword123"))
	if first := known.Boxes[0]; err != nil || box.KeyID != first.KeyID || !bytes.Equal(box.Ciphertext, unhex(t, first.Ciphertext)) {
		t.Errorf("Seal: %+v, %v", box, err)
	}

	key, err := ParseEnvelopeKey(plaintext(t, string(unhex(t, known.EnvelopeSeed))))
	if err != nil {
		t.Fatal(err)
	}
	for name, info := range map[string][]byte{
		"to_cluster":          ToClusterInfo("c1", "default", "db-password", "item"),
		"to_cluster_registry": ToClusterRegistryInfo("c1", "registry.example:5000"),
		"to_task":             ToTaskInfo("c1", "node-1", "task-1", "secret-db-password-abc123", 7, "item"),
	} {
		p, err := key.openHPKE(info, unhex(t, known.Envelopes[name]))
		wantValue(t, p, err, "mySecurePassword123")
	}
}

var testContext = Context{
	ClusterID: "c1", Kind: "secret", Namespace: "default", ObjectID: "secret-db-password-abc123",
	Name: "db-password", Version: 7, Item: "item",
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func plaintext(t *testing.T, value string) *Plaintext {
	t.Helper()
	p, err := PlaintextFrom([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Destroy)
	return p
}

func wantValue(t *testing.T, p *Plaintext, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Destroy()
	if string(p.Bytes()) != want {
		t.Errorf("opened %q, want %q", p.Bytes(), want)
	}
}
