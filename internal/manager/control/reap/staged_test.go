package reap

import (
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"
)

// What a lost manager left of an import goes, but nothing that took its place,
// and nothing of an import that may still be finished.
func TestUnfinishedImportsAreThrownAway(t *testing.T) {
	s := testkit.NewStore(t)
	now := time.Now()
	value := func(tx *store.Tx, id, iv string) error {
		row := &storepb.SecretValue{SecretId: id, Version: 1, Items: []*storepb.SecretItem{{Box: &storepb.SealedBox{Iv: []byte(iv)}}}}
		return tx.SecretValues().Put(row, ns, id, store.Version(1))
	}
	stage := func(tx *store.Tx, id string, at time.Time, ids ...string) error {
		part := &storepb.Staged{StagedAt: timestamppb.New(at)}
		for _, id := range ids {
			part.Values = append(part.Values, &storepb.StagedValue{Namespace: ns, SecretId: id, Version: 1, Iv: []byte("staged")})
		}
		return tx.Staged().Put(part, id, store.Version(1))
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		for id, iv := range map[string]string{"left": "staged", "replaced": "theirs", "young": "staged"} {
			if err := value(tx, id, iv); err != nil {
				return err
			}
		}
		if err := stage(tx, "old", now.Add(-2*time.Hour), "left", "replaced", "never-stored"); err != nil {
			return err
		}
		return stage(tx, "new", now, "young")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := New(s, slog.New(slog.DiscardHandler)).dropStagedBefore(t.Context(), now.Add(-keepRequests)); err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(tx *store.ReadTx) error {
		for id, want := range map[string]bool{"left": false, "replaced": true, "young": true} {
			if _, err := tx.SecretValues().Get(ns, id, store.Version(1)); (err == nil) != want {
				t.Errorf("%s is there: %v", id, err == nil)
			}
		}
		for key := range tx.Staged().Keys() {
			if key.Parts()[0] != "new" {
				t.Errorf("%s is still staged", key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
