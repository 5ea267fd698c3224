package server

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type audits struct {
	warrenv1.UnimplementedAuditsServer
	*Server
}

// audit records what the caller does, as part of the transaction that does it:
// neither happens without the other.
func (s *Server) audit(ctx context.Context, tx *store.Tx, action, kind string, m *warrenv1.Meta, versions ...uint64) error {
	return s.auditWith(ctx, tx, &warrenv1.AuditRecord{
		Action: action, Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(), Versions: versions,
	})
}

// auditWith is audit of a record that says more. When is filled in, and unless
// it is said, who.
func (s *Server) auditWith(ctx context.Context, tx *store.Tx, r *warrenv1.AuditRecord) error {
	r.Time = s.now()
	if c, ok := CallerOf(ctx); ok && r.Actor == "" {
		r.Actor, r.ActorId = c.Name, c.ID
		if len(c.Roles) > 0 {
			r.Role = c.Roles[0]
		}
	}
	return tx.Audit().Append(r)
}

// GetAuditHead tells how far the audit log goes.
func (a *audits) GetAuditHead(ctx context.Context, _ *warrenv1.GetAuditHeadRequest) (head *warrenv1.AuditHead, err error) {
	err = a.store.View(ctx, func(tx *store.ReadTx) error {
		number, err := tx.Audit().Head()
		head = &warrenv1.AuditHead{Sequence: number, Keep: store.KeepAudit}
		return err
	})
	return head, err
}

// ListAudit sends the audit log as it is stored. With follow it goes on with
// what is recorded from then on.
func (a *audits) ListAudit(r *warrenv1.ListAuditRequest, out grpc.ServerStreamingServer[warrenv1.AuditEntry]) error {
	if err := spec.ValidNamespace(r.GetNamespace()); err != nil {
		return err
	}
	ctx := out.Context()
	w := a.store.Watch(store.TableAudit)
	defer w.Close()
	last, view := r.GetAfter(), a.store.View
	for {
		// The first look comes at once: see Store.Watch.
		if _, err := w.Next(ctx); err != nil {
			return err
		}
		for more := true; more; {
			entries, err := a.entries(ctx, view, last)
			if err != nil {
				return err
			}
			for _, e := range entries {
				last = e.GetSequence()
				if !asked(r, e) {
					continue
				}
				if err := out.Send(e); err != nil {
					return err
				}
			}
			more, view = len(entries) == auditPage, a.store.ViewStale
		}
		if !r.GetFollow() {
			return nil
		}
	}
}

// auditPage is how many entries are read at once: a snapshot is not held while
// a client takes its time.
const auditPage = 1000

type viewer func(context.Context, func(*store.ReadTx) error) error

func (a *audits) entries(ctx context.Context, view viewer, after uint64) (page []*warrenv1.AuditEntry, err error) {
	err = view(ctx, func(tx *store.ReadTx) error {
		for e := range tx.Audit().After(after) {
			if page = append(page, e); len(page) == auditPage {
				break
			}
		}
		return nil
	})
	return page, err
}

// asked tells whether an entry is among those that were asked for. Whoever asks
// for all gets also those that cannot be read.
func asked(r *warrenv1.ListAuditRequest, e *warrenv1.AuditEntry) bool {
	if r.GetSince() == nil && r.GetSecret() == "" {
		return true
	}
	var record warrenv1.AuditRecord
	if len(e.GetRecord()) == 0 || proto.Unmarshal(e.GetRecord(), &record) != nil {
		return false
	}
	if r.GetSince() != nil && record.GetTime().AsTime().Before(r.GetSince().AsTime()) {
		return false
	}
	return r.GetSecret() == "" || record.GetKind() == spec.KindSecret &&
		record.GetNamespace() == spec.Namespace(r.GetNamespace()) &&
		(record.GetName() == r.GetSecret() || record.GetId() == r.GetSecret())
}

// secretChange is what is recorded of a secret whose newest version was the
// given one before.
func secretChange(secret *warrenv1.Secret, before uint64) *warrenv1.AuditRecord {
	m := secret.GetMeta()
	r := &warrenv1.AuditRecord{Action: "updated", Kind: spec.KindSecret, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId()}
	newest := spec.NewestVersion(secret)
	if newest.GetNumber() == before {
		r.Message = "not its value"
		return r
	}
	r.Versions = []uint64{newest.GetNumber()}
	if newest.GetCopyOf() != 0 {
		r.Action, r.Message = "rolled-back", fmt.Sprintf("with the value of version %d", newest.GetCopyOf())
	}
	return r
}

// numbersOf gives the numbers of a secret's versions.
func numbersOf(versions []*warrenv1.SecretVersion) (numbers []uint64) {
	for _, v := range versions {
		numbers = append(numbers, v.GetNumber())
	}
	return numbers
}

// told records an event for people and its twin in the audit log.
func (s *Server) told(ctx context.Context, tx *store.Tx, action, kind string, m *warrenv1.Meta, versions ...uint64) error {
	return errors.Join(
		tx.Events().Append(s.event(m, kind, action, "by "+callerName(ctx))),
		s.audit(ctx, tx, action, kind, m, versions...),
	)
}
