package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// format is the version of warren.db's layout that this Warren writes.
var format = uint64(1)

// migrations[n] brings a file from format n+1 to n+2. They run in order, each
// in the transaction that also raises the file's format, on every manager alike.
var migrations = []func(*bolt.Tx) error{}

var (
	bucketMeta  = []byte("meta")
	bucketState = []byte("state")

	keyFormat  = []byte("format")
	keyApplied = []byte("applied")
	keyLineage = []byte("lineage")
)

// position is a place in the Raft log.
type position struct{ index, term uint64 }

// mapped is how much of warren.db is mapped from the start: while the file is
// smaller, open read transactions never block the growth of the mapping.
const mapped = 1 << 30

// openDatabase opens or creates a database, without fsync on commit, and brings
// it to the current format.
func openDatabase(path string) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         time.Second,
		NoSync:          true,
		NoGrowSync:      true,
		NoFreelistSync:  true,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: mapped,
		NoStatistics:    true,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use by another process: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := db.Update(migrate); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return db, nil
}

func migrate(tx *bolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucketIfNotExists(bucketState); err != nil {
		return err
	}
	from := number(meta.Get(keyFormat))
	if from == 0 {
		from = format // just made
	}
	if err := checkFormat("warren.db", from); err != nil {
		return err
	}
	for ; from < format; from++ {
		if err := migrations[from-1](tx); err != nil {
			return fmt.Errorf("migrate from format %d: %w", from, err)
		}
	}
	return meta.Put(keyFormat, binary.BigEndian.AppendUint64(nil, format))
}

// checkFormat refuses what a newer Warren wrote.
func checkFormat(name string, found uint64) error {
	if found > format {
		return fmt.Errorf("%s was written by a newer Warren (format %d, this one knows up to %d): "+
			"start the newer version, or go back to what that saved before (see docs/upgrading.md), or to a backup made by this one", name, found, format)
	}
	return nil
}

func readApplied(tx *bolt.Tx) position {
	raw := tx.Bucket(bucketMeta).Get(keyApplied)
	if len(raw) != 16 {
		return position{}
	}
	return position{binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:])}
}

func writeApplied(tx *bolt.Tx, p position) error {
	raw := binary.BigEndian.AppendUint64(nil, p.index)
	return tx.Bucket(bucketMeta).Put(keyApplied, binary.BigEndian.AppendUint64(raw, p.term))
}

func readLineage(tx *bolt.Tx) string { return string(tx.Bucket(bucketMeta).Get(keyLineage)) }

func writeLineage(tx *bolt.Tx, lineage string) error {
	return tx.Bucket(bucketMeta).Put(keyLineage, []byte(lineage))
}

func number(raw []byte) uint64 {
	if len(raw) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(raw)
}

// lookInto reads rows of a database file, without changing it.
func lookInto(path string, f func(get func(key string) []byte) error) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second, NoStatistics: true})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		state := tx.Bucket(bucketState)
		return f(func(key string) []byte { return payload(state.Get([]byte(key))) })
	})
}

// Scan hands f the rows of a database file that nobody uses whose keys start
// with the prefix.
func Scan(path, prefix string, f func(row []byte) error) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second, NoStatistics: true})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(bucketState).Cursor()
		for key, stored := cursor.Seek([]byte(prefix)); key != nil && strings.HasPrefix(string(key), prefix); key, stored = cursor.Next() {
			if err := f(payload(stored)); err != nil {
				return err
			}
		}
		return nil
	})
}
