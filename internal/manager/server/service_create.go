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

// CreateService commits a new service, and with it the volumes it names that
// do not exist yet. A service of that name which is being deleted is waited
// for.
func (s *services) CreateService(ctx context.Context, r *warrenv1.CreateServiceRequest) (*warrenv1.CreateServiceResponse, error) {
	spec.DefaultService(r)
	if err := spec.ValidateService(r); err != nil {
		return nil, err
	}
	service := &warrenv1.Service{
		Meta: &warrenv1.Meta{
			Id:   spec.ServiceID(r.GetName(), s.config.Rand()),
			Name: r.GetName(), Namespace: r.GetNamespace(), Labels: r.GetLabels(),
			CreatedAt: s.now(), UpdatedAt: s.now(),
		},
		Spec: r.GetSpec(), SpecVersion: 1, Revision: 1,
	}
	missing := s.volumesOnFirstUse(r.GetNamespace(), r.GetSpec())
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		service := proto.CloneOf(service) // chosen ports are this try's
		m := service.GetMeta()
		holder, err := free(tx.Services(), spec.KindService, m.GetNamespace(), m.GetName(), m.GetId())
		if holder.GetDeletedAt() != nil {
			return "", serviceGoingAway(holder)
		}
		if err != nil {
			return "", err
		}
		if err := bindSecrets(tx, service); err != nil {
			return "", err
		}
		if err := bindVolumes(tx, service, missing); err != nil {
			return "", err
		}
		if err := bindPorts(tx, service, s.config.Rand()); err != nil {
			return "", err
		}
		if err := tx.Services().Create(service); err != nil {
			return "", err
		}
		return m.GetId(), errors.Join(settle(tx, m.GetNamespace()),
			tx.Events().Append(s.event(m, spec.KindService, "created", "by "+callerName(ctx))))
	})
	if err != nil {
		return nil, err
	}
	created, err := s.read(ctx, &warrenv1.Ref{Namespace: r.GetNamespace(), NameOrId: id})
	return &warrenv1.CreateServiceResponse{Service: created, Warnings: created.GetWarnings()}, err
}

// volumesOnFirstUse prepares a local volume for each name in the container's
// description, in case that there is none.
func (s *services) volumesOnFirstUse(namespace string, service *warrenv1.ServiceSpec) map[string]*warrenv1.Volume {
	volumes := map[string]*warrenv1.Volume{}
	for _, name := range spec.VolumeNames(service) {
		request := &warrenv1.CreateVolumeRequest{Namespace: namespace, Name: name}
		spec.DefaultVolume(request)
		volume := newVolume(request, spec.VolumeID(name, s.config.Rand()))
		volume.Meta.CreatedAt, volume.Meta.UpdatedAt = s.now(), s.now()
		volumes[name] = volume
	}
	return volumes
}

// bindVolumes notes the service as a user of its volumes. Those that do not
// exist are created from create; if that has them not, they are all named in a
// refusal.
func bindVolumes(tx *store.Tx, service *warrenv1.Service, create map[string]*warrenv1.Volume) error {
	var missing []string
	for _, name := range spec.VolumeNames(service.GetSpec()) {
		if bound, err := bindVolume(tx, service, name, create[name]); err != nil {
			return err
		} else if !bound {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return volumesGone(service.GetMeta().GetName(), missing)
	}
	return nil
}

// bindVolume notes the service as a user of one volume, which is created from
// create if it does not exist; false when there is nothing to create it from.
func bindVolume(tx *store.Tx, service *warrenv1.Service, name string, create *warrenv1.Volume) (bound bool, err error) {
	m := service.GetMeta()
	volume, err := optional(tx.Volumes().ByName(m.GetNamespace(), name))
	there := volume != nil && volume.GetDeletedAt() == nil
	switch {
	case err != nil:
		return false, err
	case !there && create == nil:
		return false, nil
	case volume == nil:
		volume = create
		err = createVolume(tx, volume, "for service "+m.GetName())
	case !there:
		err = volumeGoingAway(volume)
	}
	if err != nil {
		return false, err
	}
	return true, addUse(tx, m.GetNamespace(), volume.GetMeta().GetId(), m.GetId())
}

// volumesGone refuses to start a service on volumes that are no more: it is
// never given empty ones in their place.
func volumesGone(service string, volumes []string) error {
	return spec.Problemf(spec.Refused, spec.KindService, service, "service %q cannot start: %s any more",
		service, doNotExist(spec.KindVolume, volumes)).
		WithHint("warren volume undelete %s takes it out of the trash, if it is there; warren volume create %s makes a new, empty one", volumes[0], volumes[0])
}

// doNotExist names what is missing: secret "a" does not exist, secrets "a",
// "b" do not exist.
func doNotExist(kind string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	if len(names) == 1 {
		return kind + " " + quoted[0] + " does not exist"
	}
	return kind + "s " + strings.Join(quoted, ", ") + " do not exist"
}
