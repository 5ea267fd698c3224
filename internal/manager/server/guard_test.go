package server_test

import (
	"context"
	"errors"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/server"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

// Between the look at a volume's users and its deletion somebody else always
// comes first: the deletion must then be refused, whoever it was.
func TestADeletionDependsOnWhatItLookedAt(t *testing.T) {
	service := &warrenv1.Service{Meta: &warrenv1.Meta{Id: "svc-app", Name: "app", Namespace: "default"}, Stopped: true}
	for name, c := range map[string]struct {
		force bool
		// before the deletion, and while it is decided.
		before, meanwhile func(*store.Tx) error
	}{
		"a service begins to use it": {
			before:    func(*store.Tx) error { return nil },
			meanwhile: func(tx *store.Tx) error { return server.AddUse(tx, "default", "vol-data", "svc-app") },
		},
		"a task attaches to it": {
			before: func(*store.Tx) error { return nil },
			meanwhile: func(tx *store.Tx) error {
				return errors.Join(
					tx.Attachments().Put(&warrenv1.Attachment{VolumeId: "vol-data"}, "default", "vol-data", "task"),
					tx.Holds().Put(&storepb.Hold{Holders: 1}, "default", "vol-data"))
			},
		},
		"its stopped service is started": {
			force:  true,
			before: func(tx *store.Tx) error { return server.AddUse(tx, "default", "vol-data", "svc-app") },
			meanwhile: func(tx *store.Tx) error {
				return tx.Services().Put(&warrenv1.Service{Meta: service.GetMeta()})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := testkit.NewStore(t)
			update := func(f func(*store.Tx) error) {
				t.Helper()
				if err := db.Update(context.Background(), f); err != nil {
					t.Fatal(err)
				}
			}
			update(func(tx *store.Tx) error {
				return errors.Join(
					tx.Volumes().Create(&warrenv1.Volume{Meta: &warrenv1.Meta{Id: "vol-data", Name: "data", Namespace: "default"}}),
					tx.Services().Create(service), c.before(tx))
			})
			s := server.New(server.Config{Store: db, Clock: time.Now, Log: logs(t)})
			runs := 0
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				err := server.RemoveUnused(s, tx, ref("data"), c.force)
				if runs++; runs == 1 {
					update(c.meanwhile)
				}
				return err
			})
			var p *spec.Problem
			if !errors.As(err, &p) || p.Code != spec.InUse || runs < 2 {
				t.Errorf("got %v after %d runs", err, runs)
			}
		})
	}
}
