package secret

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/testkit"
)

const ns = spec.DefaultNamespace

type house struct {
	*testing.T
	store *store.Store
}

// newHouse runs the reconciler on a store.
func newHouse(t *testing.T) *house {
	h := &house{t, testkit.NewStore(t)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- New(h.store, slog.New(slog.DiscardHandler)).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) update(fn func(*store.Tx) error) {
	h.Helper()
	if err := h.store.Update(h.Context(), fn); err != nil {
		h.Fatal(err)
	}
}

// secret makes a secret with so many versions, the last of which expires then.
func (h *house) secret(name string, versions int, expires time.Time) {
	h.Helper()
	s := &warrenv1.Secret{Meta: &warrenv1.Meta{Id: "secret-" + name, Name: name, Namespace: ns}}
	h.update(func(tx *store.Tx) error {
		s.Versions = nil
		for i := range versions {
			n := uint64(i + 1)
			s.Versions = append(s.Versions, &warrenv1.SecretVersion{Number: n, Size: 1})
			if err := tx.SecretValues().Put(&storepb.SecretValue{SecretId: s.Meta.Id, Version: n}, ns, s.Meta.Id, store.Version(n)); err != nil {
				return err
			}
		}
		if !expires.IsZero() {
			s.Versions[versions-1].ExpiresAt = timestamppb.New(expires)
		}
		return tx.Secrets().Create(s)
	})
}

// until waits for something that is committed.
func (h *house) until(what string, holds func(*store.ReadTx) bool) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Second)
	defer cancel()
	w := h.store.Watch(store.TableSecrets, store.TableEvents)
	defer w.Close()
	for done := false; !done; {
		if _, err := w.Next(ctx); err != nil {
			h.Fatalf("waited in vain: %s", what)
		}
		err := h.store.ViewStale(ctx, func(tx *store.ReadTx) error { done = holds(tx); return nil })
		if err != nil {
			h.Fatal(err)
		}
	}
}

func (h *house) told(reason string, times int) {
	h.Helper()
	h.until(reason, func(tx *store.ReadTx) bool {
		n := 0
		for e := range tx.Events().After(0) {
			if e.GetReason() == reason {
				n++
			}
		}
		return n == times
	})
}

func TestVersionsThatAreTooManyGo(t *testing.T) {
	h := newHouse(t)
	h.update(func(tx *store.Tx) error {
		task := &warrenv1.Task{
			Meta: &warrenv1.Meta{Id: "t", Name: "api-task-1", Namespace: ns}, ServiceId: "svc-api",
			Secrets: []*warrenv1.SecretPin{{SecretId: "secret-db", Secret: "db", Version: 2}},
		}
		service := &warrenv1.Service{
			Meta: &warrenv1.Meta{Id: "svc-web", Name: "web", Namespace: ns},
			Spec: &warrenv1.ServiceSpec{Container: &warrenv1.ContainerSpec{}},
		}
		earlier := &warrenv1.ServiceRevision{Revision: 1, Spec: &warrenv1.ServiceSpec{
			Container: &warrenv1.ContainerSpec{Secrets: []*warrenv1.SecretMount{{Secret: "db", Version: 3}}},
		}}
		return errors.Join(tx.Tasks().Create(task), tx.Services().Create(service),
			tx.ServiceRevisions().Put(earlier, ns, "svc-web", store.Version(1)))
	})
	h.secret("db", 14, time.Time{})
	h.until("the versions are pruned", func(tx *store.ReadTx) bool {
		s, err := tx.Secrets().Get(ns, "secret-db")
		if err != nil {
			return false
		}
		var left []uint64
		for _, v := range s.GetVersions() {
			left = append(left, v.GetNumber())
		}
		// The newest ten, the one that a task has, and the one that a service
		// can go back to.
		return fmt.Sprint(left) == "[2 3 5 6 7 8 9 10 11 12 13 14]"
	})
	h.told("pruned", 1)
	h.until("their values are gone", func(tx *store.ReadTx) bool {
		_, err1 := tx.SecretValues().Get(ns, "secret-db", store.Version(1))
		_, err2 := tx.SecretValues().Get(ns, "secret-db", store.Version(2))
		return errors.Is(err1, store.ErrNotFound) && err2 == nil
	})
}

func TestPeopleAreToldOnceBeforeAndOnceAfterASecretExpires(t *testing.T) {
	h := newHouse(t)
	h.secret("far", 1, time.Now().Add(15*24*time.Hour))
	h.secret("nearly", 1, time.Now().Add(spec.ExpiryNotice+300*time.Millisecond))
	h.told("expiring", 1)
	h.secret("now", 1, time.Now().Add(300*time.Millisecond))
	h.told("expiring", 2)
	h.told("expired", 1)
	h.update(func(tx *store.Tx) error { // which is no reason to say it again
		s, err := tx.Secrets().ByName(ns, "now")
		if err != nil {
			return err
		}
		s.Meta.Labels = map[string]string{"a": "b"}
		return tx.Secrets().Put(s)
	})
	// A new version that will expire too is.
	h.update(func(tx *store.Tx) error {
		s, err := tx.Secrets().ByName(ns, "now")
		if err != nil {
			return err
		}
		s.Versions = append(s.Versions, &warrenv1.SecretVersion{Number: 2, ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))})
		return tx.Secrets().Put(s)
	})
	h.told("expiring", 3)
	h.told("expired", 1)
	h.until("what was told", func(tx *store.ReadTx) bool {
		for e := range tx.Events().After(0) {
			if e.GetReason() == "expired" && strings.Contains(e.GetMessage(), "version 1 was good until") && strings.Contains(e.GetMessage(), "warren secret update now") {
				return true
			}
		}
		return false
	})
}
