package agent

import (
	"encoding/json"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// progress is what was done for one task since the machine booted.
type progress struct {
	// Running: the container was started and its end is not recorded yet.
	Running bool `json:"running,omitempty"`
	// Failures in a row, and when the next try is due.
	Failures int       `json:"failures,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"`
	// Restarts in a row, none of which ran well.
	Restarts uint32 `json:"restarts,omitempty"`
	// Unhealthy is why the container is being ended for another one.
	Unhealthy string `json:"unhealthy,omitempty"`
	// Resting: it is not started again, and what it held is given back.
	Resting bool `json:"resting,omitempty"`
	// StopBy is when SIGKILL follows; zero while it was not asked to stop.
	StopBy time.Time `json:"stop_by,omitzero"`
	// Volumes has the directories that the container was started with, by
	// volume ID.
	Volumes map[string]identity `json:"volumes,omitempty"`
	// Secrets that lie in the task's secret directory. Names only.
	Secrets []delivered `json:"secrets,omitempty"`
	// Signals that are due for secrets that were replaced: SIGHUP.
	Signals []string `json:"signals,omitempty"`
	// Unmounted: the container lost its secrets when it was healthy.
	Unmounted bool `json:"unmounted,omitempty"`
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
