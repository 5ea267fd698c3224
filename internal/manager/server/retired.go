package server

import (
	"context"
	"time"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/spec"
)

// MaySpeakRaft refuses a manager that was removed or demoted since its
// certificate was issued. Whom this manager does not know at all it lets pass:
// who joined while it was away may be the one that it hears the news from.
func (s *Server) MaySpeakRaft(ctx context.Context, id pki.Identity, issued time.Time) error {
	var row *storepb.Retired
	err := s.store.ViewStale(ctx, func(tx *store.ReadTx) (err error) {
		row, err = optional(tx.Retired().Get(id.Name))
		return err
	})
	if err == nil && row != nil && issued.Before(row.GetAt().AsTime()) {
		return spec.Problemf(spec.Denied, spec.KindMember, id.Name, "%s is no manager of the cluster any more", id.Name)
	}
	return err
}

// wasManager tells whether a node was a manager once and is none any more.
func (s *Server) wasManager(ctx context.Context, nodeID string) bool {
	if nodeID == "" {
		return false
	}
	err := s.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		_, err := tx.Retired().Get(nodeID)
		return err
	})
	return err == nil
}

// GuardRaft calls look now and whenever another manager was removed or demoted,
// until ctx ends.
func (s *Server) GuardRaft(ctx context.Context, look func()) error {
	w := s.store.Watch(store.TableRetired)
	defer w.Close()
	for {
		if _, err := w.Next(ctx); err != nil {
			return nil // ctx ended, or the state was closed
		}
		look()
	}
}
