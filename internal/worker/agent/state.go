package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
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

// progress is what was done for one task since the machine booted.
type progress struct {
	// Running: the container was started and its end is not recorded yet.
	Running bool `json:"running,omitempty"`
	// Failures in a row, and when the next try is due.
	Failures int       `json:"failures,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	// StopBy is when SIGKILL follows; zero while it was not asked to stop.
	StopBy time.Time `json:"stop_by,omitzero"`
	// Volumes has the directories that the container was started with, by
	// volume ID.
	Volumes map[string]identity `json:"volumes,omitempty"`
	// Secrets that lie in the task's secret directory. Names only.
	Secrets []delivered `json:"secrets,omitempty"`
}

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

func openBolt(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err == nil {
		db.MaxBatchDelay = batchDelay
	}
	return db, err
}

func damaged(err error) bool {
	return errors.Is(err, bbolterrors.ErrInvalid) || errors.Is(err, bbolterrors.ErrChecksum) || errors.Is(err, bbolterrors.ErrVersionMismatch)
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

// assigned returns every task and volume of the last set.
func (s *state) assigned() (tasks []*warrenv1.Task, volumes []*warrenv1.Volume, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(bucketTasks).ForEach(func(_, data []byte) error {
			t := new(warrenv1.Task)
			tasks = append(tasks, t)
			return proto.Unmarshal(data, t)
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketVolumes).ForEach(func(_, data []byte) error {
			v := new(warrenv1.Volume)
			volumes = append(volumes, v)
			return proto.Unmarshal(data, v)
		})
	})
	return tasks, volumes, err
}

// assign remembers tasks and volumes as they are now assigned.
func (s *state) assign(tasks []*warrenv1.Task, volumes []*warrenv1.Volume) error {
	if len(tasks)+len(volumes) == 0 {
		return nil
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, t := range tasks {
			if err := putProto(tx.Bucket(bucketTasks), t.GetMeta().GetId(), t); err != nil {
				return err
			}
		}
		for _, v := range volumes {
			if err := putProto(tx.Bucket(bucketVolumes), v.GetMeta().GetId(), v); err != nil {
				return err
			}
		}
		return nil
	})
}

// record returns what is known of a task; both are empty for a new one.
func (s *state) record(taskID string) (*warrenv1.TaskStatus, progress, error) {
	status, p := &warrenv1.TaskStatus{TaskId: taskID}, progress{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		if data := tx.Bucket(bucketStatus).Get([]byte(taskID)); data != nil {
			if err := proto.Unmarshal(data, status); err != nil {
				return err
			}
		}
		if data := tx.Bucket(bucketProgress).Get([]byte(taskID)); data != nil {
			return json.Unmarshal(data, &p)
		}
		return nil
	})
	return status, p, err
}

// save writes a task's record. Tasks that save at the same time share one
// write to the disk.
func (s *state) save(status *warrenv1.TaskStatus, p progress) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.db.Batch(func(tx *bbolt.Tx) error {
		if err := putProto(tx.Bucket(bucketStatus), status.GetTaskId(), status); err != nil {
			return err
		}
		return tx.Bucket(bucketProgress).Put([]byte(status.GetTaskId()), data)
	})
}

// forgetTask removes everything about a task.
func (s *state) forgetTask(id string) error {
	return s.db.Batch(func(tx *bbolt.Tx) error { return deleteKeys(tx, id, bucketTasks, bucketStatus, bucketProgress) })
}

// forgetVolume removes everything about a volume.
func (s *state) forgetVolume(id string) error {
	return s.db.Batch(func(tx *bbolt.Tx) error { return deleteKeys(tx, id, bucketVolumes, bucketMade) })
}

// made says whether the volume was created once.
func (s *state) made(id string) (made bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		made = tx.Bucket(bucketMade).Get([]byte(id)) != nil
		return nil
	})
	return made, err
}

func (s *state) setMade(id string) error {
	return s.db.Batch(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMade).Get([]byte(id)) != nil {
			return nil
		}
		return tx.Bucket(bucketMade).Put([]byte(id), madeOnly)
	})
}

// mounted says whether a container was started with the volume once.
func (s *state) mounted(id string) (mounted bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		mounted = bytes.Equal(tx.Bucket(bucketMade).Get([]byte(id)), madeMounted)
		return nil
	})
	return mounted, err
}

// setMounted writes to the disk only the first time.
func (s *state) setMounted(id string) error {
	if mounted, err := s.mounted(id); err != nil || mounted {
		return err
	}
	return s.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMade).Put([]byte(id), madeMounted) })
}

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
