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
func (s *secrets) DeleteSecret(ctx context.Context, r *warrenv1.DeleteSecretRequest) (*warrenv1.DeleteSecretResponse, error) {
	var secret *warrenv1.Secret
	var services []*warrenv1.Service
	id, err := s.commit(ctx, func(tx *store.Tx) (_ string, err error) {
		if secret, err = find(tx.Secrets(), spec.KindSecret, r.GetRef()); err != nil {
			return "", err
		}
		m := secret.GetMeta()
		if services, err = users(&tx.ReadTx, m.GetNamespace(), m.GetId()); err != nil {
			return "", err
		}
		if len(services) > 0 && !r.GetForce() {
			return "", inUse(spec.KindSecret, m.GetName(), serviceUsages(services))
		}
		for _, service := range services {
			if err := s.dropReference(tx, service, m); err != nil {
				return "", err
			}
		}
		return m.GetId(), deleteSecret(tx, secret)
	})
	if err != nil {
		return nil, err
	}
	if secret == nil { // the request was done before
		return &warrenv1.DeleteSecretResponse{Secret: &warrenv1.Secret{Meta: &warrenv1.Meta{
			Id: id, Name: r.GetRef().GetNameOrId(), Namespace: spec.Namespace(r.GetRef().GetNamespace())}}}, nil
	}
	// A task that was made at the same moment, of the spec as it was, was not
	// in that transaction's sight. No other can be made from now on.
	err = s.store.Update(apart(ctx), func(tx *store.Tx) error {
		tx.Reclaim()
		for _, service := range services {
			if err := dropPins(tx, service, secret.GetMeta()); err != nil {
				return err
			}
		}
		return nil
	})
	return &warrenv1.DeleteSecretResponse{Secret: secret, DetachedServices: serviceNames(services)}, err
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

// dropReference takes a secret out of a service's spec. The spec keeps its
// version: its tasks lose a file, they are not made anew.
func (s *secrets) dropReference(tx *store.Tx, service *warrenv1.Service, secret *warrenv1.Meta) error {
	dropMounts(service.GetSpec().GetContainer(), secret.GetName())
	service.Meta.UpdatedAt = s.now()
	if err := tx.Services().Put(service); err != nil {
		return err
	}
	return dropPins(tx, service, secret)
}

// dropPins takes a secret away from the tasks of a service.
func dropPins(tx *store.Tx, service *warrenv1.Service, secret *warrenv1.Meta) error {
	m := service.GetMeta()
	var changed []*warrenv1.Task
	for _, task := range tx.Tasks().OfService(m.GetNamespace(), m.GetId()) {
		before := len(task.Secrets)
		task.Secrets = slices.DeleteFunc(task.Secrets, func(p *warrenv1.SecretPin) bool {
			return p.GetSecretId() == secret.GetId()
		})
		if len(task.Secrets) < before {
			dropMounts(task.GetContainer(), secret.GetName())
			changed = append(changed, task)
		}
	}
	for _, task := range changed {
		if err := tx.Tasks().Put(task); err != nil {
			return err
		}
	}
	return nil
}

func dropMounts(c *warrenv1.ContainerSpec, secret string) {
	if c == nil {
		return
	}
	c.Secrets = slices.DeleteFunc(c.Secrets, func(m *warrenv1.SecretMount) bool { return m.GetSecret() == secret })
}
