package server_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"

	"pgregory.net/rapid"
)

// Versions come and go while tasks are made anew and a service goes back and
// forth: whatever a task pins, its value is there.
func TestNoTaskLosesTheVersionItPins(t *testing.T) {
	c, a := withSecretOn(t, &worker{}, warrenv1.OnChange_ON_CHANGE_RESTART)
	until := time.Now().Add(2 * time.Second)
	var busy sync.WaitGroup
	loop := func(do func(i int) error) {
		busy.Go(func() {
			for i := 0; time.Now().Before(until); i++ {
				if err := do(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	loop(func(i int) error {
		_, err := a.UpdateSecret(ctx, c.newVersion("db", fmt.Sprint(i)))
		return err
	})
	loop(func(int) error {
		_, err := a.PruneSecret(ctx, &warrenv1.PruneSecretRequest{Ref: ref("db"), Keep: 1})
		return err
	})
	loop(func(i int) error {
		if i%2 == 0 {
			_, _ = a.RollbackService(ctx, &warrenv1.RollbackServiceRequest{Ref: ref("api")}) // there may be nothing to go back to
			return nil
		}
		_, _ = change(a, "api", func(r *warrenv1.UpdateServiceRequest) { r.ForceRecreate = true })
		return nil
	})
	loop(func(int) error {
		return c.store.View(context.Background(), func(tx *store.ReadTx) error {
			for key, task := range tx.Tasks().List() {
				if task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_RUNNING {
					continue
				}
				for _, pin := range task.GetSecrets() {
					if _, err := tx.SecretValues().Get("default", pin.GetSecretId(), store.Version(pin.GetVersion())); err != nil {
						return fmt.Errorf("%s pins what is not there: %w", key, err)
					}
				}
			}
			return nil
		})
	})
	busy.Wait()
}

// Of any versions, with any users, exactly the old and unused ones go.
func TestExactlyTheOldAndUnusedVersionsGo(t *testing.T) {
	db := testkit.NewStore(t)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		ns := fmt.Sprint("n", checks)
		update := func(f func(*store.Tx) error) {
			if err := db.Update(context.Background(), f); err != nil {
				t.Fatal(err)
			}
		}
		count := rapid.IntRange(1, 12).Draw(t, "versions")
		keep := rapid.IntRange(1, 12).Draw(t, "keep")
		number := rapid.Uint64Range(1, uint64(count))
		pinned := rapid.SliceOfN(number, 0, 3).Draw(t, "pinned")
		stopping := rapid.SliceOfN(number, 0, 2).Draw(t, "stopping tasks")
		seen := rapid.SliceOfN(number, 0, 2).Draw(t, "seen")
		named := rapid.SliceOfN(number, 0, 3).Draw(t, "named by specs")
		update(func(tx *store.Tx) error {
			return errors.Join(putSecret(tx, ns, count), putTasks(tx, ns, pinned, stopping, seen), putSpecs(tx, ns, named))
		})
		wanted := map[uint64]bool{}
		for _, list := range [][]uint64{pinned, seen, named} {
			for _, n := range list {
				wanted[n] = true
			}
		}
		update(func(tx *store.Tx) error {
			secret, err := tx.Secrets().ByName(ns, "db")
			if err != nil {
				return err
			}
			if _, _, err := tx.PruneSecret(secret, keep); err != nil {
				return err
			}
			left := map[uint64]bool{}
			for _, v := range secret.GetVersions() {
				left[v.GetNumber()] = true
			}
			for n := uint64(1); n <= uint64(count); n++ {
				stays := wanted[n] || n > uint64(max(0, count-keep))
				_, err := tx.SecretValues().Get(ns, "secret-db", store.Version(n))
				if left[n] != stays || (err == nil) != stays {
					t.Fatalf("version %d stays: %v, should: %v, its value: %v", n, left[n], stays, err)
				}
			}
			return nil
		})
	})
}

func putSecret(tx *store.Tx, ns string, versions int) (err error) {
	s := &warrenv1.Secret{Meta: &warrenv1.Meta{Id: "secret-db", Name: "db", Namespace: ns}}
	for n := uint64(1); n <= uint64(versions); n++ {
		s.Versions = append(s.Versions, &warrenv1.SecretVersion{Number: n})
		err = errors.Join(err, tx.SecretValues().Put(&storepb.SecretValue{Version: n}, ns, "secret-db", store.Version(n)))
	}
	return errors.Join(err, tx.Secrets().Create(s))
}

// putTasks makes tasks that pin versions, such that are to stop and did so, and
// such that are to stop and still see theirs.
func putTasks(tx *store.Tx, ns string, pinned, stopping, seen []uint64) (err error) {
	put := func(kind string, i int, version uint64, desired warrenv1.DesiredState, sees ...*warrenv1.SecretInPlace) {
		m := &warrenv1.Meta{Id: fmt.Sprint(kind, i), Name: fmt.Sprint(kind, i), Namespace: ns}
		err = errors.Join(err, tx.Tasks().Create(&warrenv1.Task{Meta: m, ServiceId: "svc", Desired: desired,
			Secrets: []*warrenv1.SecretPin{{SecretId: "secret-db", Secret: "db", Version: version}}}),
			tx.TaskStatus().Put(&warrenv1.TaskStatus{Secrets: sees}, ns, m.Id))
	}
	for i, v := range pinned {
		put("pins", i, v, warrenv1.DesiredState_DESIRED_STATE_RUNNING)
	}
	for i, v := range stopping {
		put("stops", i, v, warrenv1.DesiredState_DESIRED_STATE_STOPPED)
	}
	for i, v := range seen {
		put("sees", i, v, warrenv1.DesiredState_DESIRED_STATE_STOPPED, &warrenv1.SecretInPlace{SecretId: "secret-db", Version: v})
	}
	return err
}

// putSpecs makes a service whose present spec names the first version, and its
// kept ones the others.
func putSpecs(tx *store.Tx, ns string, named []uint64) (err error) {
	specOf := func(version uint64) *warrenv1.ServiceSpec {
		return &warrenv1.ServiceSpec{Container: &warrenv1.ContainerSpec{Secrets: []*warrenv1.SecretMount{{Secret: "db", Version: version}}}}
	}
	service := &warrenv1.Service{Meta: &warrenv1.Meta{Id: "svc", Name: "app", Namespace: ns}}
	for i, v := range named {
		if i == 0 {
			service.Spec = specOf(v)
			continue
		}
		err = errors.Join(err, tx.ServiceRevisions().Put(&warrenv1.ServiceRevision{Spec: specOf(v)}, ns, "svc", store.Version(uint64(i))))
	}
	return errors.Join(err, tx.Services().Create(service))
}
