package server

import (
	"context"
	"errors"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// DeleteSecret removes a secret with all its versions. With force, services
// that use it lose the reference, and their tasks the file, while they run.
//
// The reference goes first, then the tasks' pins, then the secret: each step
// can be repeated, and whoever is interrupted and tries again goes on.
func (s *secrets) DeleteSecret(ctx context.Context, r *warrenv1.DeleteSecretRequest) (*warrenv1.DeleteSecretResponse, error) {
	answer := &warrenv1.DeleteSecretResponse{}
	if r.GetForce() {
		detached, err := s.detach(ctx, r.GetRef())
		if err != nil {
			return nil, err
		}
		answer.DetachedServices = detached
	}
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		secret, err := find(tx.Secrets().EvenAltered(), spec.KindSecret, r.GetRef())
		if err != nil {
			return "", err
		}
		m := secret.GetMeta()
		services, err := users(&tx.ReadTx, m.GetNamespace(), m.GetId())
		if err != nil {
			return "", err
		}
		if len(services) > 0 {
			return "", inUse(spec.KindSecret, m.GetName(), serviceUsages(services))
		}
		answer.Secret = secret
		return m.GetId(), errors.Join(deleteSecret(tx, secret),
			s.told(ctx, tx, "deleted", spec.KindSecret, m, numbersOf(secret.GetVersions())...))
	})
	if err != nil {
		return nil, err
	}
	if answer.Secret == nil { // the request was done before
		answer.Secret = &warrenv1.Secret{Meta: &warrenv1.Meta{
			Id: id, Name: r.GetRef().GetNameOrId(), Namespace: spec.Namespace(r.GetRef().GetNamespace())}}
	}
	return answer, nil
}

// detach takes a secret out of all specs that name it, then away from all
// tasks. It returns the names of the services.
func (s *secrets) detach(ctx context.Context, ref *warrenv1.Ref) (detached []string, err error) {
	var secret *warrenv1.Meta
	for more := true; more; {
		var service *warrenv1.Service
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			row, err := find(tx.Secrets().EvenAltered(), spec.KindSecret, ref)
			if err != nil {
				return err
			}
			secret = row.GetMeta()
			service, err = s.dropReference(tx, secret)
			return err
		})
		var done *store.Replayed
		if errors.As(err, &done) {
			return nil, nil // a request that was done before has done this too
		}
		if err != nil {
			return nil, err
		}
		if more = service != nil; more {
			detached = append(detached, service.GetMeta().GetName())
		}
	}
	// No task with such a pin can be made from now on: whoever makes one
	// depends on the service's row.
	return detached, s.dropPins(ctx, secret)
}

// dropReference takes a secret out of the spec of one service that names it,
// and returns that service, nil if there is none. The spec keeps its version:
// its tasks lose a file, they are not made anew.
func (s *secrets) dropReference(tx *store.Tx, secret *warrenv1.Meta) (*warrenv1.Service, error) {
	services, err := users(&tx.ReadTx, secret.GetNamespace(), secret.GetId())
	if err != nil || len(services) == 0 {
		return nil, err
	}
	tx.Reclaim()
	service := services[0]
	dropMounts(service.GetSpec().GetContainer(), secret.GetName())
	service.Meta.UpdatedAt = s.now()
	return service, errors.Join(
		tx.Services().Put(service),
		dropUse(tx, secret.GetNamespace(), secret.GetId(), service.GetMeta().GetId()),
		tx.Events().Append(s.event(service.GetMeta(), spec.KindService, "secret-removed",
			"secret "+secret.GetName()+" was deleted with --force")),
	)
}

// pinsAtOnce is how many tasks one transaction takes a secret away from.
const pinsAtOnce = 64

// dropPins takes a secret away from all tasks that have it.
func (s *secrets) dropPins(ctx context.Context, secret *warrenv1.Meta) error {
	for {
		var changed []*warrenv1.Task
		err := s.store.Update(apart(ctx), func(tx *store.Tx) error {
			tx.Reclaim()
			changed = tasksWith(tx, secret, pinsAtOnce)
			for _, task := range changed {
				if err := tx.Tasks().Put(task); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(changed) < pinsAtOnce {
			return err
		}
	}
}

// tasksWith returns tasks that have the secret, without it.
func tasksWith(tx *store.Tx, secret *warrenv1.Meta, limit int) (changed []*warrenv1.Task) {
	for _, task := range tx.Tasks().List(secret.GetNamespace()) {
		before := len(task.Secrets)
		task.Secrets = slices.DeleteFunc(task.Secrets, func(p *warrenv1.SecretPin) bool {
			return p.GetSecretId() == secret.GetId()
		})
		if len(task.Secrets) == before {
			continue
		}
		dropMounts(task.GetContainer(), secret.GetName())
		if changed = append(changed, task); len(changed) == limit {
			break
		}
	}
	return changed
}

// deleteSecret removes a secret's rows.
func deleteSecret(tx *store.Tx, secret *warrenv1.Secret) error {
	tx.Reclaim()
	m := secret.GetMeta()
	errs := []error{tx.Secrets().Delete(secret), tx.Uses().Delete(m.GetNamespace(), m.GetId())}
	for _, v := range secret.GetVersions() {
		errs = append(errs, tx.SecretValues().Delete(m.GetNamespace(), m.GetId(), store.Version(v.GetNumber())))
	}
	return errors.Join(errs...)
}

func dropMounts(c *warrenv1.ContainerSpec, secret string) {
	if c == nil {
		return
	}
	c.Secrets = slices.DeleteFunc(c.Secrets, func(m *warrenv1.SecretMount) bool { return m.GetSecret() == secret })
}
