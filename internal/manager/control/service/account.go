package service

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// before is the newest earlier revision of a service whose container is another
// one than now; 0 if there is none.
func before(tx *store.ReadTx, service *warrenv1.Service) (revision uint64) {
	m := service.GetMeta()
	for _, r := range tx.ServiceRevisions().List(m.GetNamespace(), m.GetId()) {
		if r.GetSpecVersion() != service.GetSpecVersion() {
			revision = r.GetRevision()
		}
	}
	return revision
}

var eventReasons = map[warrenv1.UpdateState]string{
	warrenv1.UpdateState_UPDATE_STATE_UPDATING:        "update-started",
	warrenv1.UpdateState_UPDATE_STATE_PAUSED:          "update-paused",
	warrenv1.UpdateState_UPDATE_STATE_COMPLETED:       "update-completed",
	warrenv1.UpdateState_UPDATE_STATE_ROLLING_BACK:    "rollback-started",
	warrenv1.UpdateState_UPDATE_STATE_ROLLED_BACK:     "rollback-completed",
	warrenv1.UpdateState_UPDATE_STATE_ROLLBACK_PAUSED: "rollback-paused",
}

// account writes how far the update is, and what follows when it ends: the
// earlier spec comes back, or what only that one used is given up.
func account(tx *store.Tx, w *world, p *plan) error {
	if p.update == nil {
		return nil
	}
	m := w.service.GetMeta()
	if p.rollback {
		if err := rollBack(tx, w, p.update); err != nil {
			return err
		}
	}
	if err := tx.ServiceUpdates().Put(p.update, m.GetNamespace(), m.GetId()); err != nil {
		return err
	}
	if p.update.GetFinishedAt() != nil {
		now := w.service.GetSpec()
		if err := errors.Join(dropUses(tx, m, now), freePorts(tx, m, now.GetContainer())); err != nil {
			return err
		}
	}
	return tx.Events().Append(&warrenv1.Event{
		Time: timestamppb.New(w.now), Kind: spec.KindService, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(),
		Reason: eventReasons[p.update.GetState()], Message: p.update.GetMessage(),
	})
}

// rollBack gives the service the spec again from which its update began. When
// that is kept no longer, the update is paused instead.
func rollBack(tx *store.Tx, w *world, update *warrenv1.ServiceUpdate) error {
	m := w.service.GetMeta()
	earlier, err := tx.ServiceRevisions().Get(m.GetNamespace(), m.GetId(), store.Version(update.GetFromRevision()))
	if errors.Is(err, store.ErrNotFound) {
		update.State = warrenv1.UpdateState_UPDATE_STATE_PAUSED
		update.Message += "; the spec before it is kept no longer"
		return nil
	} else if err != nil {
		return err
	}
	if err := tx.KeepRevision(w.service); err != nil {
		return err
	}
	if err := dropGone(tx, m.GetNamespace(), earlier.GetSpec().GetContainer()); err != nil {
		return err
	}
	if !tx.Tasks().StillRun(m.GetNamespace(), m.GetId(), earlier.GetSpecVersion(), earlier.GetSpec().GetContainer()) {
		earlier.SpecVersion = 0
	}
	earlier.Change = spec.RolledBackTo(earlier.GetRevision(), update.GetMessage())
	spec.Revise(w.service, earlier, w.now)
	return tx.Services().Put(w.service)
}

// dropGone takes the secrets out of a container's earlier description that were
// deleted since, with --force: the tasks that still run as it says have lost
// them too, and a new one would wait for them for ever.
func dropGone(tx *store.Tx, namespace string, container *warrenv1.ContainerSpec) error {
	var failed error
	if container == nil {
		return nil
	}
	container.Secrets = slices.DeleteFunc(container.Secrets, func(m *warrenv1.SecretMount) bool {
		_, err := tx.Secrets().ByName(namespace, m.GetSecret())
		failed = errors.Join(failed, unlessNotFound(err))
		return errors.Is(err, store.ErrNotFound)
	})
	return failed
}

// dropUses takes a service out of the uses of all that its spec does not
// name. Until its update is over, a service also uses what it did before.
func dropUses(tx *store.Tx, service *warrenv1.Meta, now *warrenv1.ServiceSpec) error {
	named := map[string]bool{}
	for _, name := range spec.VolumeNames(now) {
		volume, err := tx.Volumes().ByName(service.GetNamespace(), name)
		if unlessNotFound(err) != nil {
			return err
		}
		named[volume.GetMeta().GetId()] = true
	}
	for _, s := range now.GetContainer().GetSecrets() {
		secret, err := tx.Secrets().ByName(service.GetNamespace(), s.GetSecret())
		if unlessNotFound(err) != nil {
			return err
		}
		named[secret.GetMeta().GetId()] = true
	}
	for key, uses := range tx.Uses().List(service.GetNamespace()) {
		if slices.Contains(uses.GetServiceIds(), service.GetId()) && !named[key.ID()] {
			if err := forget(tx, key, service.GetId()); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget takes a service out of the uses of a volume or secret.
func forget(tx *store.Tx, object store.Key, serviceID string) error {
	uses, err := tx.Uses().Get(object.Parts()...)
	if err != nil {
		return unlessNotFound(err)
	}
	uses.ServiceIds = slices.DeleteFunc(uses.GetServiceIds(), func(id string) bool { return id == serviceID })
	if len(uses.ServiceIds) == 0 {
		return tx.Uses().Delete(object.Parts()...)
	}
	return tx.Uses().Put(uses, object.Parts()...)
}

// freePorts lets others publish the ports that are the service's and not in
// its container's description.
func freePorts(tx *store.Tx, service *warrenv1.Meta, container *warrenv1.ContainerSpec) error {
	named := map[store.Key]bool{}
	for _, p := range container.GetPorts() {
		named[store.KeyOf(store.PortKey(p.GetProtocol(), p.GetHostPort())...)] = true
	}
	for key, owner := range tx.Ports().List() {
		if owner.GetServiceId() != service.GetId() || named[key] {
			continue
		}
		if err := tx.Ports().Delete(key.Parts()...); err != nil {
			return err
		}
	}
	return nil
}
