package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// ListRevisions lists what a service was, oldest first, and what it is.
func (s *services) ListRevisions(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.ListRevisionsResponse, error) {
	out := &warrenv1.ListRevisionsResponse{}
	err := s.store.View(ctx, func(tx *store.ReadTx) error {
		service, err := find(tx.Services(), spec.KindService, ref)
		if err != nil {
			return err
		}
		for _, r := range tx.ServiceRevisions().List(service.GetMeta().GetNamespace(), service.GetMeta().GetId()) {
			out.Revisions = append(out.Revisions, r)
		}
		out.Revisions = append(out.Revisions, spec.PresentRevision(service))
		return nil
	})
	return out, err
}

// RollbackService makes an earlier revision of a service, its last one when
// none is named, the next one. Tasks that still run as it says are kept.
func (s *services) RollbackService(ctx context.Context, r *warrenv1.RollbackServiceRequest) (*warrenv1.UpdateServiceResponse, error) {
	return s.answerUpdate(s.change(ctx, r.GetRef(), func(tx *store.Tx, service *warrenv1.Service) error {
		m := service.GetMeta()
		next, err := s.earlier(tx, service, r.GetRevision())
		if err != nil {
			return err
		}
		if err := spec.ValidateServiceSpec(m.GetName(), next.GetSpec()); err != nil {
			return err
		}
		next.Change = spec.RolledBackTo(next.GetRevision(), "")
		switch container := next.GetSpec().GetContainer(); {
		case proto.Equal(container, service.GetSpec().GetContainer()):
			next.SpecVersion = service.GetSpecVersion()
		case !tx.Tasks().StillRun(m.GetNamespace(), m.GetId(), next.GetSpecVersion(), container):
			next.SpecVersion = 0
		}
		return s.revise(tx, service, next, nil)
	}))
}

// earlier returns the revision of a service that a person asks for.
func (s *services) earlier(tx *store.Tx, service *warrenv1.Service, revision uint64) (*warrenv1.ServiceRevision, error) {
	m, present := service.GetMeta(), spec.PresentRevision(service).GetRevision()
	var kept []string
	for key := range tx.ServiceRevisions().Keys(m.GetNamespace(), m.GetId()) {
		kept = append(kept, strings.TrimLeft(key.ID(), "0"))
	}
	switch {
	case revision == present:
		return nil, spec.Problemf(spec.Refused, spec.KindService, m.GetName(), "service %q is at revision %d already", m.GetName(), present).
			WithHint("warren service history %s", m.GetName())
	case revision == 0 && len(kept) == 0:
		return nil, spec.Problemf(spec.Refused, spec.KindService, m.GetName(), "service %q was never changed: there is nothing to go back to", m.GetName()).
			WithHint("warren service history %s", m.GetName())
	case revision == 0:
		if _, err := fmt.Sscan(kept[len(kept)-1], &revision); err != nil {
			return nil, err
		}
	}
	next, err := tx.ServiceRevisions().Get(m.GetNamespace(), m.GetId(), store.Version(revision))
	if errors.Is(err, store.ErrNotFound) {
		message := fmt.Sprintf("service %q has no revision %d", m.GetName(), revision)
		if len(kept) > 0 {
			message += "; it can go back to " + strings.Join(kept, ", ")
		}
		return nil, spec.Problemf(spec.NotFound, spec.KindService, m.GetName(), "%s", message).
			WithHint("warren service history %s", m.GetName())
	}
	return next, err
}
