package server

import (
	"context"
	"errors"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/spec"
)

// SetRegistry remembers how to speak to a registry, in place of what was
// remembered. Its password becomes a secret in the system's namespace, a new
// one each time.
func (i *images) SetRegistry(ctx context.Context, r *warrenv1.SetRegistryRequest) (*warrenv1.Registry, error) {
	if err := spec.ValidateRegistry(r); err != nil {
		return nil, err
	}
	registry := &warrenv1.Registry{
		Host: r.GetHost(), Username: r.GetUsername(), CaCertificate: r.GetCaCertificate(),
		PlainHttp: r.GetPlainHttp(), UpdatedAt: i.now(),
	}
	var secret *warrenv1.Secret
	var value *storepb.SecretValue
	if r.GetPassword() != nil {
		var err error
		if secret, value, err = i.registrySecret(r); err != nil {
			return nil, err
		}
		registry.SecretId = secret.GetMeta().GetId()
	}
	_, err := i.commit(ctx, func(tx *store.Tx) (string, error) {
		if err := forgetPassword(tx, r.GetHost()); err != nil {
			return "", err
		}
		if secret != nil {
			if err := tx.Secrets().Create(secret); err != nil {
				return "", err
			}
			if err := tx.SecretValues().Put(value, spec.SystemNamespace, registry.GetSecretId(), store.Version(1)); err != nil {
				return "", err
			}
		}
		return r.GetHost(), errors.Join(tx.Registries().Put(registry, r.GetHost()),
			i.told(ctx, tx, "changed", spec.KindRegistry, &warrenv1.Meta{Name: r.GetHost()}))
	})
	return registry, err
}

// registrySecret seals a registry's password for keeping.
func (i *images) registrySecret(r *warrenv1.SetRegistryRequest) (*warrenv1.Secret, *storepb.SecretValue, error) {
	if r.GetPassword().GetKey() != "" {
		return nil, nil, spec.Problemf(spec.Invalid, spec.KindRegistry, r.GetHost(), "a registry has one password, without a key")
	}
	name := spec.RegistrySecretName(r.GetHost())
	secret := &warrenv1.Secret{Meta: &warrenv1.Meta{
		Id: spec.SecretID(name, i.config.Rand()), Name: name, Namespace: spec.SystemNamespace,
		CreatedAt: i.now(), UpdatedAt: i.now(),
	}}
	version, value, err := i.sealItems(vault.Registry, secret.GetMeta(), r.GetHost(), 1, []*warrenv1.SealedItem{r.GetPassword()})
	if err != nil {
		return nil, nil, err
	}
	secret.Versions = []*warrenv1.SecretVersion{version}
	return secret, value, nil
}

// forgetPassword deletes the secret that a registry has now.
func forgetPassword(tx *store.Tx, host string) error {
	registry, err := optional(tx.Registries().Get(host))
	if err != nil || registry.GetSecretId() == "" {
		return err
	}
	secret, err := optional(tx.Secrets().Get(spec.SystemNamespace, registry.GetSecretId()))
	if err != nil || secret == nil {
		return err
	}
	return deleteSecret(tx, secret)
}

// ListRegistries lists the registries that something is known of.
func (i *images) ListRegistries(ctx context.Context, _ *warrenv1.ListRegistriesRequest) (*warrenv1.ListRegistriesResponse, error) {
	out := &warrenv1.ListRegistriesResponse{}
	err := i.store.View(ctx, func(tx *store.ReadTx) error {
		for _, registry := range tx.Registries().List() {
			out.Registries = append(out.Registries, registry)
		}
		return nil
	})
	return out, err
}

// DeleteRegistry forgets a registry and its password.
func (i *images) DeleteRegistry(ctx context.Context, r *warrenv1.DeleteRegistryRequest) (*warrenv1.Registry, error) {
	registry := &warrenv1.Registry{Host: r.GetHost()}
	_, err := i.commit(ctx, func(tx *store.Tx) (string, error) {
		row, err := tx.Registries().Get(r.GetHost())
		if errors.Is(err, store.ErrNotFound) {
			return "", spec.Problemf(spec.NotFound, spec.KindRegistry, r.GetHost(), "nothing is known of registry %q", r.GetHost()).
				WithHint("warren registry list")
		}
		if err != nil {
			return "", err
		}
		registry = row
		if err := forgetPassword(tx, r.GetHost()); err != nil {
			return "", err
		}
		tx.Reclaim()
		return r.GetHost(), errors.Join(tx.Registries().Delete(r.GetHost()),
			i.told(ctx, tx, "deleted", spec.KindRegistry, &warrenv1.Meta{Name: r.GetHost()}))
	})
	return registry, err
}
