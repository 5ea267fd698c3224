package server

import (
	"cmp"
	"context"
	"errors"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/spec"
)

type secrets struct {
	warrenv1.UnimplementedSecretsServer
	*Server
}

// CreateSecret seals the values of a new secret with the key ring and commits
// them together with what may be known of them.
func (s *secrets) CreateSecret(ctx context.Context, r *warrenv1.CreateSecretRequest) (*warrenv1.Secret, error) {
	spec.DefaultSecret(r)
	if err := spec.ValidateSecret(r); err != nil {
		return nil, err
	}
	secret := &warrenv1.Secret{Meta: &warrenv1.Meta{
		Id:   spec.SecretID(r.GetName(), s.config.Rand()),
		Name: r.GetName(), Namespace: r.GetNamespace(), Labels: r.GetLabels(),
		CreatedAt: s.now(), UpdatedAt: s.now(),
	}, Lifetime: r.GetLifetime(), Keep: r.GetKeep()}
	version, value, err := s.sealItems(vault.Secret, secret.GetMeta(), r.GetName(), 1, r.GetItems())
	if err != nil {
		return nil, err
	}
	version.CreatedBy, version.ExpiresAt = callerName(ctx), spec.ExpiresAt(secret, version.GetCreatedAt().AsTime())
	secret.Versions = []*warrenv1.SecretVersion{version}
	m := secret.GetMeta()
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		if _, err := free(tx.Secrets(), spec.KindSecret, m.GetNamespace(), m.GetName(), m.GetId()); err != nil {
			return "", err
		}
		if err := tx.Secrets().Create(secret); err != nil {
			return "", err
		}
		return m.GetId(), errors.Join(
			settle(tx, m.GetNamespace()),
			tx.SecretValues().Put(value, m.GetNamespace(), m.GetId(), store.Version(version.GetNumber())),
			s.told(ctx, tx, "created", spec.KindSecret, m, version.GetNumber()),
		)
	})
	if err != nil || id == m.GetId() {
		return secret, err
	}
	return s.read(ctx, &warrenv1.Ref{Namespace: m.GetNamespace(), NameOrId: id})
}

// sealItems makes a version of a secret of what a client sealed.
func (s *Server) sealItems(kind vault.Kind, m *warrenv1.Meta, name string, number uint64, items []*warrenv1.SealedItem) (
	*warrenv1.SecretVersion, *storepb.SecretValue, error) {
	object := vault.Object{Kind: kind, Namespace: m.GetNamespace(), ID: m.GetId(), Name: name, Version: number}
	if kind == vault.Registry {
		object.Namespace = ""
	}
	sealed, sizes, err := s.config.Vault.Accept(object, items)
	if errors.Is(err, vault.ErrEnvelope) {
		return nil, nil, spec.Problemf(spec.Invalid, string(kind), name,
			"the value for %s %q was not sealed for it and this cluster, or damaged on the way", kind, name)
	}
	if err != nil {
		return nil, nil, err
	}
	version := &warrenv1.SecretVersion{Number: number, CreatedAt: m.GetUpdatedAt()}
	for i, item := range items {
		version.Size += sizes[i]
		// No file of a secret may be empty, and all are limited together.
		if err := cmp.Or(spec.SecretSize(name, sizes[i]), spec.SecretSize(name, version.Size)); err != nil {
			return nil, nil, err
		}
		if item.GetKey() != "" {
			version.Keys = append(version.Keys, item.GetKey())
		}
	}
	return version, &storepb.SecretValue{SecretId: m.GetId(), Version: number, Items: sealed}, nil
}

// GetSecret returns what is known of a secret; its value is not among it.
func (s *secrets) GetSecret(ctx context.Context, ref *warrenv1.Ref) (*warrenv1.Secret, error) {
	return s.read(ctx, ref)
}

func (s *secrets) read(ctx context.Context, ref *warrenv1.Ref) (secret *warrenv1.Secret, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		if secret, err = find(tx.Secrets(), spec.KindSecret, ref); err != nil {
			return err
		}
		return errors.Join(fillSecret(tx, secret), fillSecretTasks(tx, secret))
	})
	return secret, err
}

// ListSecrets lists the secrets of a namespace.
func (s *secrets) ListSecrets(ctx context.Context, f *warrenv1.Filter) (*warrenv1.ListSecretsResponse, error) {
	namespace, err := checkFilter(f)
	if err != nil {
		return nil, err
	}
	out := &warrenv1.ListSecretsResponse{}
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		for key := range tx.Secrets().Keys(namespace) {
			secret, err := listed(tx, key)
			if err != nil {
				return err
			}
			if !spec.MatchLabels(secret.GetMeta().GetLabels(), f.GetLabels()) {
				continue
			}
			if err := fillSecret(tx, secret); err != nil {
				return err
			}
			out.Secrets = append(out.Secrets, secret)
		}
		return nil
	})
	return out, err
}

// listed is a secret for a list, in which one that was altered keeps nobody from
// seeing the others.
func listed(tx *store.ReadTx, key store.Key) (*warrenv1.Secret, error) {
	secret, err := tx.Secrets().Get(key.Parts()...)
	if !errors.Is(err, store.ErrAltered) {
		return secret, err
	}
	if secret, err = tx.Secrets().EvenAltered().Get(key.Parts()...); err != nil || secret.GetMeta().GetId() != key.ID() {
		secret = &warrenv1.Secret{Meta: &warrenv1.Meta{Namespace: key.Namespace(), Name: key.ID(), Id: key.ID()}}
	}
	secret.Altered = true
	return secret, nil
}

func fillSecret(tx *store.ReadTx, secret *warrenv1.Secret) error {
	services, err := users(tx, secret.GetMeta().GetNamespace(), secret.GetMeta().GetId())
	secret.UsedBy = serviceUsages(services)
	return err
}
