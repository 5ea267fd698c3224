package server

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// UpdateService gives a service another spec. Its tasks follow step by step:
// the answer does not wait for them. An update that changes nothing has no
// effect, unless one before it is paused: then that goes on.
func (s *services) UpdateService(ctx context.Context, r *warrenv1.UpdateServiceRequest) (*warrenv1.UpdateServiceResponse, error) {
	if r.GetSpec() == nil {
		return nil, spec.Problemf(spec.Invalid, spec.KindService, r.GetRef().GetNameOrId(), "the update says nothing of what the service shall be")
	}
	spec.DefaultServiceSpec(r.Spec)
	if err := spec.ValidateServiceSpec(r.GetRef().GetNameOrId(), r.GetSpec()); err != nil {
		return nil, err
	}
	if err := spec.Labels(r.GetLabels()); err != nil {
		return nil, err
	}
	create := s.volumesOnFirstUse(spec.Namespace(r.GetRef().GetNamespace()), r.GetSpec())
	return s.answerUpdate(s.change(ctx, r.GetRef(), func(tx *store.Tx, service *warrenv1.Service) error {
		before := spec.PresentRevision(service)
		if r.GetRevision() != 0 && r.GetRevision() != before.GetRevision() {
			name := service.GetMeta().GetName()
			return spec.Problemf(spec.Refused, spec.KindService, name,
				"service %q was changed by somebody else at the same time: it is at revision %d, not %d", name, before.GetRevision(), r.GetRevision()).
				WithHint("look at it with warren service inspect %s, then update it again", name)
		}
		// A try of the transaction writes the chosen ports into the spec.
		next := &warrenv1.ServiceRevision{Spec: proto.CloneOf(r.GetSpec()), Labels: r.GetLabels(), SpecVersion: before.GetSpecVersion()}
		if err := spec.SameMode(service.GetMeta().GetName(), before.GetSpec(), next.GetSpec()); err != nil {
			return err
		}
		keepChosen(next.GetSpec().GetContainer().GetPorts(), before.GetSpec().GetContainer().GetPorts())
		keepVersions(next.GetSpec().GetContainer().GetSecrets(), before.GetSpec().GetContainer().GetSecrets())
		if r.GetForceRecreate() || !slices.Equal(before.GetSpec().GetConstraints(), next.GetSpec().GetConstraints()) ||
			!proto.Equal(before.GetSpec().GetContainer(), next.GetSpec().GetContainer()) {
			next.SpecVersion = 0
			if err := newestVersions(tx, service.GetMeta().GetNamespace(), next.GetSpec().GetContainer().GetSecrets()); err != nil {
				return err
			}
		}
		return s.revise(tx, service, next, newVolumes(before.GetSpec(), create))
	}))
}

func (s *services) answerUpdate(service *warrenv1.Service, err error) (*warrenv1.UpdateServiceResponse, error) {
	if err != nil {
		return nil, err
	}
	return &warrenv1.UpdateServiceResponse{Service: service, Warnings: service.GetWarnings()}, nil
}

// newVolumes are those of the prepared volumes that the service did not name
// before: only they are created on first use. One that it has lost is never
// given to it anew and empty.
func newVolumes(before *warrenv1.ServiceSpec, create map[string]*warrenv1.Volume) map[string]*warrenv1.Volume {
	for _, name := range spec.VolumeNames(before) {
		delete(create, name)
	}
	return create
}

// present is a service's revision as the first draft of the next one.
func (s *services) present(service *warrenv1.Service) *warrenv1.ServiceRevision {
	next := proto.CloneOf(spec.PresentRevision(service))
	next.Change = ""
	return next
}

// revise makes the next revision of a service. What it named until now counts
// as used until its tasks have been replaced. Volumes that do not exist come
// from create.
func (s *services) revise(tx *store.Tx, service *warrenv1.Service, next *warrenv1.ServiceRevision, create map[string]*warrenv1.Volume) error {
	before := spec.PresentRevision(service)
	replace := next.GetSpecVersion() != before.GetSpecVersion()
	changes := spec.Changes(before, next)
	if len(changes) == 0 && !replace {
		return s.resume(tx, service)
	}
	if next.GetChange() == "" {
		next.Change = strings.Join(changes, ", ")
	}
	if next.GetChange() == "" {
		next.Change = "tasks made anew"
	}
	if err := tx.KeepRevision(service); err != nil {
		return err
	}
	spec.Revise(service, next, s.config.Clock())
	if err := bindSlots(tx, service, before.GetSpec(), create); err != nil {
		return err
	}
	if replace {
		service.Rollout++
		if err := bindSecrets(tx, service); err != nil {
			return err
		}
		if err := bindVolumes(tx, service, create); err != nil {
			return err
		}
		if err := bindPorts(tx, service, s.config.Rand()); err != nil {
			return err
		}
	}
	return tx.Events().Append(s.event(service.GetMeta(), spec.KindService, "updated", next.GetChange()))
}

// resume lets a paused update of the service go on.
func (s *services) resume(tx *store.Tx, service *warrenv1.Service) error {
	m := service.GetMeta()
	update, err := optional(tx.ServiceUpdates().Get(m.GetNamespace(), m.GetId()))
	if err != nil {
		return err
	}
	switch update.GetState() {
	case warrenv1.UpdateState_UPDATE_STATE_PAUSED, warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED:
		service.Rollout++
		return tx.Events().Append(s.event(m, spec.KindService, "updated", "the paused update goes on"))
	}
	return nil
}
