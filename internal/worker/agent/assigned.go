package agent

import (
	"bytes"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

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
