package consensus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// sample is a database with pages of every kind.
func sample(t testing.TB, options *bolt.Options) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.db")
	db, err := bolt.Open(path, 0o600, options)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		err = db.Update(func(tx *bolt.Tx) error {
			if err := migrate(tx); err != nil {
				return err
			}
			for i := range 300 {
				if err := tx.Bucket(bucketState).Put(fmt.Appendf(nil, "volume/%d-%03d", round, i), bytes.Repeat([]byte("x"), i)); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketState).Put([]byte("secret/big"), make([]byte, 20000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAGoodDatabaseIsVerified(t *testing.T) {
	t.Parallel()
	for _, o := range []*bolt.Options{{NoFreelistSync: true}, {}, {PageSize: 16384}} {
		raw := sample(t, o)
		if err := verifyPages(bytes.NewReader(raw), int64(len(raw))); err != nil {
			t.Errorf("%s: %v", o, err)
		}
	}
}

func TestOneMetaPageIsEnough(t *testing.T) {
	t.Parallel()
	for at := range 2 {
		raw := sample(t, &bolt.Options{NoFreelistSync: true})
		clear(raw[at*os.Getpagesize():][:os.Getpagesize()])
		if err := verifyPages(bytes.NewReader(raw), int64(len(raw))); err != nil {
			t.Errorf("without meta page %d: %v", at, err)
		}
	}
}

// What verify lets pass, BoltDB can read from end to end. Pages beyond the file
// would kill this process, not fail the test: that is the point of verify.
func FuzzVerify(f *testing.F) {
	good := sample(f, &bolt.Options{NoFreelistSync: true})
	pages := len(good) / os.Getpagesize()
	for page := range pages {
		f.Add(uint(page*os.Getpagesize()+8), []byte{0xff}, uint(len(good)))
		f.Add(uint(page*os.Getpagesize()+12), []byte{1, 2, 3, 4}, uint(len(good)))
		f.Add(uint(page*os.Getpagesize()+20), []byte{0xff, 0xff}, uint(page*os.Getpagesize()+1))
	}
	f.Fuzz(func(t *testing.T, at uint, change []byte, size uint) {
		raw := bytes.Clone(good[:min(uint(len(good)), size)])
		if at < uint(len(raw)) {
			copy(raw[at:], change)
		}
		if verifyPages(bytes.NewReader(raw), int64(len(raw))) != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "changed.db")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
		if err != nil {
			return // refused in good order
		}
		defer db.Close()
		_ = db.View(func(tx *bolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
				return b.ForEach(func(k, v []byte) error { _ = append(bytes.Clone(k), v...); return nil })
			})
		})
	})
}
