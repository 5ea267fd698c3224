package server

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// bindSlots notes a service that was scaled as a user of the volumes of its new
// slots, which come from create where they do not exist, and as none of those of
// the slots that it has no more. These stay, for when it is scaled up again.
func bindSlots(tx *store.Tx, service *warrenv1.Service, before *warrenv1.ServiceSpec, create map[string]*warrenv1.Volume) error {
	has, had := spec.VolumesOfSlots(service.GetSpec()), spec.VolumesOfSlots(before)
	for _, name := range without(has, had) {
		if _, err := bindVolume(tx, service, name, create[name]); err != nil {
			return err
		}
	}
	m := service.GetMeta()
	for _, name := range without(had, has) {
		volume, err := optional(tx.Volumes().ByName(m.GetNamespace(), name))
		if err != nil {
			return err
		}
		if volume == nil {
			continue
		}
		if err := dropUse(tx, m.GetNamespace(), volume.GetMeta().GetId(), m.GetId()); err != nil {
			return err
		}
	}
	return nil
}

// without lists those names that are not among the others.
func without(names, others []string) (rest []string) {
	known := map[string]bool{}
	for _, name := range others {
		known[name] = true
	}
	for _, name := range names {
		if !known[name] {
			rest = append(rest, name)
		}
	}
	return rest
}
