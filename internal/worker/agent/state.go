package agent

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"google.golang.org/protobuf/proto"
)

var (
	bucketMeta     = []byte("meta")
	bucketTasks    = []byte("tasks")
	bucketVolumes  = []byte("volumes")
	bucketMade     = []byte("made")
	bucketStatus   = []byte("status")
	bucketProgress = []byte("progress")

	keyBoot = []byte("boot")

	madeOnly    = []byte("made")
	madeMounted = []byte("mounted")
)

// batchDelay is how long a write waits for others to join it.
const batchDelay = time.Millisecond

// state is worker.db. All methods may be called from any goroutine; a write
// has reached the disk when it returns.
type state struct{ db *bbolt.DB }

// openState opens or makes the file. rebooted is true when it was written
// before the machine booted, in which case all progress in it is dropped.
// A damaged file is put aside, since a manager can send everything again.
func openState(dir, bootID string, log *slog.Logger) (s *state, rebooted bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	path := filepath.Join(dir, "worker.db")
	db, err := openBolt(path)
	if damaged(err) {
		aside := path + ".damaged"
		log.Error("the worker's state is damaged and was put aside; a manager will send it again", "file", path, "aside", aside, "error", err)
		if err := os.Rename(path, aside); err != nil {
			return nil, false, err
		}
		db, err = openBolt(path)
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, false, fmt.Errorf("%s is in use: another Warren worker runs on this data directory; stop it or choose another --data-dir", path)
	}
	if err != nil {
		return nil, false, fmt.Errorf("open %s: %w", path, err)
	}
	s = &state{db: db}
	if rebooted, err = s.begin(bootID); err != nil {
		return nil, false, errors.Join(err, db.Close())
	}
	return s, rebooted, nil
}

// errDamaged is returned for a file whose pages do not fit together.
var errDamaged = errors.New("damaged pages")

// openBolt opens the file and looks at every entry once, since bbolt panics at
// a damaged page and faults at one that lies beyond the file. What it held open
// at a panic stays so; that file is put aside.
func openBolt(path string) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if problem := recover(); problem != nil {
			db, err = nil, fmt.Errorf("%w: %v", errDamaged, problem)
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	db.MaxBatchDelay = batchDelay
	return db, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, value []byte) error {
				_ = bytes.Clone(value)
				return nil
			})
		})
	})
}

func damaged(err error) bool {
	for _, is := range []error{errDamaged, bbolterrors.ErrInvalid, bbolterrors.ErrChecksum, bbolterrors.ErrVersionMismatch} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func (s *state) begin(bootID string) (rebooted bool, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketTasks, bucketVolumes, bucketMade, bucketStatus, bucketProgress} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		before := string(meta.Get(keyBoot))
		if before == bootID {
			return nil
		}
		rebooted = before != ""
		if err := tx.DeleteBucket(bucketProgress); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketProgress); err != nil {
			return err
		}
		return meta.Put(keyBoot, []byte(bootID))
	})
	return rebooted, err
}

func (s *state) close() error { return s.db.Close() }

func putProto(b *bbolt.Bucket, key string, m proto.Message) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), data)
}

func deleteKeys(tx *bbolt.Tx, key string, buckets ...[]byte) error {
	for _, b := range buckets {
		if err := tx.Bucket(b).Delete([]byte(key)); err != nil {
			return err
		}
	}
	return nil
}
