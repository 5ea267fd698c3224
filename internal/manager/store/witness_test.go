package store_test

import (
	"crypto/sha256"
	"errors"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"
)

// hashing vouches for rows in a way that anybody could: the keys are the
// vault's business.
type hashing struct{}

func (hashing) Witness(key string, row []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(key+" "), row...))
	return sum[:], nil
}

func TestRowsThatNobodyVouchesForAreNotRead(t *testing.T) {
	s, state := testkit.NewState(t)
	s.SetWitness(hashing{})
	secret := &warrenv1.Secret{Meta: &warrenv1.Meta{Id: "s1", Name: "one", Namespace: "default"}}
	write := func(f func(*store.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *store.Tx) error {
		if err := tx.Secrets().Create(secret); err != nil {
			return err
		}
		_, err := tx.Secrets().ByName("default", "one") // its own writes are vouched for
		return err
	})
	read := func() (err error) {
		_ = s.View(t.Context(), func(tx *store.ReadTx) error { _, err = tx.Secrets().ByName("default", "one"); return nil })
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	// Kept by its keeper, changed by somebody.
	secret.Keep = 7
	write(func(tx *store.Tx) error { return tx.Secrets().Put(secret) })
	if err := read(); err != nil {
		t.Fatal(err)
	}
	op := &storepb.Operation{Key: []byte("secret/default/s1"), Kind: &storepb.Operation_Put{Put: nil}}
	if _, err := state.Propose(t.Context(), &storepb.Transaction{Operations: []*storepb.Operation{op}}); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, store.ErrAltered) {
		t.Errorf("read: %v", err)
	}
	err := s.View(t.Context(), func(tx *store.ReadTx) error {
		if _, err := tx.Secrets().EvenAltered().ByName("default", "one"); err != nil {
			t.Errorf("even so: %v", err)
		}
		for range tx.Secrets().List() {
			t.Error("it is listed")
		}
		return nil
	})
	if !errors.Is(err, store.ErrAltered) {
		t.Errorf("a list: %v", err)
	}
	// With the row goes what vouches for it.
	write(func(tx *store.Tx) error { return tx.Secrets().Delete(secret) })
	snapshot, err := state.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	for key := range snapshot.Scan([]byte("witness/")) {
		t.Errorf("%s is left", key)
	}
}
