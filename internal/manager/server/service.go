package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type services struct {
	warrenv1.UnimplementedServicesServer
	*Server
}

// GetService returns a service with its tasks and why they wait.
func (s *services) GetService(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.Service, error) {
	return s.read(ctx, ref)
}

func (s *services) read(ctx context.Context, ref *warrenv1.Ref) (service *warrenv1.Service, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		if service, err = find(tx.Services(), spec.KindService, ref); err != nil {
			return err
		}
		return fillService(tx, service)
	})
	return service, err
}

// ListServices lists the services of a namespace, without their tasks.
func (s *services) ListServices(ctx context.Context, f *warrenv1.Filter) (*warrenv1.ListServicesResponse, error) {
	namespace, err := checkFilter(f)
	if err != nil {
		return nil, err
	}
	out := &warrenv1.ListServicesResponse{}
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		for _, service := range tx.Services().List(namespace) {
			if !spec.MatchLabels(service.GetMeta().GetLabels(), f.GetLabels()) {
				continue
			}
			if err := fillService(tx, service); err != nil {
				return err
			}
			service.Tasks = nil
			out.Services = append(out.Services, service)
		}
		return nil
	})
	return out, err
}

// ScaleService changes the number of a service's tasks.
func (s *services) ScaleService(ctx context.Context, r *warrenv1.ScaleServiceRequest) (*warrenv1.Service, error) {
	if err := spec.Replicas(r.GetRef().GetNameOrId(), r.GetReplicas()); err != nil {
		return nil, err
	}
	return s.change(ctx, r.GetRef(), func(tx *store.Tx, service *warrenv1.Service) error {
		next := s.present(service)
		if spec.IsGlobal(next.GetSpec()) {
			return spec.Problemf(spec.Refused, spec.KindService, service.GetMeta().GetName(),
				"service %q is global: it has one task on each node", service.GetMeta().GetName()).
				WithHint("warren service update %s --constraint CONDITION chooses among the nodes", service.GetMeta().GetName())
		}
		next.Spec.Replicas = r.GetReplicas()
		create := s.volumesOnFirstUse(service.GetMeta().GetNamespace(), next.GetSpec())
		return s.revise(tx, service, next, newVolumes(service.GetSpec(), create))
	})
}

// change writes one service as the given function changes it, and returns it
// as it is then.
func (s *services) change(ctx context.Context, ref *warrenv1.Ref, how func(*store.Tx, *warrenv1.Service) error) (*warrenv1.Service, error) {
	now := s.now()
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		service, err := find(tx.Services(), spec.KindService, ref)
		if err != nil {
			return "", err
		}
		if service.GetDeletedAt() != nil {
			return "", beingDeleted(service)
		}
		if err := how(tx, service); err != nil {
			return "", err
		}
		service.Meta.UpdatedAt = now
		return service.GetMeta().GetId(), tx.Services().Put(service)
	})
	if err != nil {
		return nil, err
	}
	return s.read(ctx, &warrenv1.Ref{Namespace: ref.GetNamespace(), NameOrId: id})
}

func beingDeleted(service *warrenv1.Service) *spec.Problem {
	name := service.GetMeta().GetName()
	return spec.Problemf(spec.Refused, spec.KindService, name, "service %q is being deleted", name).
		WithHint("create it again: that waits until the old one is gone")
}

// stop marks a service as stopped; its tasks follow.
func (s *Server) stop(tx *store.Tx, service *warrenv1.Service, reason string) error {
	service.Stopped, service.StoppedReason = true, reason
	service.Meta.UpdatedAt = s.now()
	if err := tx.Services().Put(service); err != nil {
		return err
	}
	return tx.Events().Append(s.event(service.GetMeta(), spec.KindService, "stopped", reason))
}

// event is something that happened to an object because somebody asked for it.
func (s *Server) event(m *warrenv1.Meta, kind, reason, message string) *warrenv1.Event {
	return &warrenv1.Event{
		Time: timestamppb.New(s.config.Clock()), Kind: kind,
		Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(), Reason: reason, Message: message,
	}
}
