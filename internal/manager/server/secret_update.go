package server

import (
	"context"
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/spec"
)

// UpdateSecret makes a new version of a secret, if values are given, and
// changes what else is said. What the tasks do about it is theirs: see
// control/service.
func (s *secrets) UpdateSecret(ctx context.Context, r *warrenv1.UpdateSecretRequest) (*warrenv1.UpdateSecretResponse, error) {
	return s.changeSecret(ctx, r.GetRef(), func(tx *store.Tx, secret *warrenv1.Secret) (what string, err error) {
		m := secret.GetMeta()
		if err := spec.ValidateSecretUpdate(m.GetName(), r); err != nil {
			return "", err
		}
		if err := relabel(spec.KindSecret, m, r.GetSetLabels(), r.GetRemoveLabels()); err != nil {
			return "", err
		}
		if r.Keep != nil {
			secret.Keep = r.GetKeep()
		}
		if r.GetLifetime() != nil {
			secret.Lifetime = r.GetLifetime()
		}
		if len(r.GetItems()) == 0 {
			if r.GetLifetime() != nil {
				spec.NewestVersion(secret).ExpiresAt = spec.ExpiresAt(secret, m.GetUpdatedAt().AsTime())
			}
			return "by " + callerName(ctx), nil
		}
		version, value, err := s.sealItems(vault.Secret, m, m.GetName(), nextVersion(secret), r.GetItems())
		if err != nil {
			return "", err
		}
		version.ExpiresAt = spec.ExpiresAt(secret, m.GetUpdatedAt().AsTime())
		return fmt.Sprintf("version %d, by %s", version.GetNumber(), callerName(ctx)), addVersion(ctx, tx, secret, version, value)
	})
}

// RollbackSecret makes the value of an earlier version the newest. It expires
// when that version does: it is no younger.
func (s *secrets) RollbackSecret(ctx context.Context, r *warrenv1.RollbackSecretRequest) (*warrenv1.UpdateSecretResponse, error) {
	return s.changeSecret(ctx, r.GetRef(), func(tx *store.Tx, secret *warrenv1.Secret) (what string, err error) {
		m := secret.GetMeta()
		earlier, err := earlierVersion(secret, r.GetVersion())
		if err != nil {
			return "", err
		}
		from := vault.Object{Kind: vault.Secret, Namespace: m.GetNamespace(), ID: m.GetId(), Name: m.GetName(), Version: earlier.GetNumber()}
		to := from
		to.Version = nextVersion(secret)
		value, err := tx.SecretValues().Get(m.GetNamespace(), m.GetId(), store.Version(from.Version))
		if err == nil {
			err = store.Whole(secret, value)
		}
		if err != nil {
			return "", err
		}
		items, err := s.config.Vault.Copy(from, to, value.GetItems())
		if err != nil {
			return "", err
		}
		version := &warrenv1.SecretVersion{
			Number: to.Version, Size: earlier.GetSize(), Keys: earlier.GetKeys(), CopyOf: from.Version,
			CreatedAt: m.GetUpdatedAt(), ExpiresAt: earlier.GetExpiresAt(),
		}
		what = fmt.Sprintf("version %d with the value of version %d, by %s", to.Version, from.Version, callerName(ctx))
		return what, addVersion(ctx, tx, secret, version, &storepb.SecretValue{SecretId: m.GetId(), Version: to.Version, Items: items})
	})
}

// changeSecret writes one secret as the given function changes it, and says so
// in an event with what that returns.
func (s *secrets) changeSecret(ctx context.Context, ref *warrenv1.Ref,
	how func(*store.Tx, *warrenv1.Secret) (string, error)) (*warrenv1.UpdateSecretResponse, error) {
	now := s.now()
	answer := &warrenv1.UpdateSecretResponse{}
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		answer.Warnings = nil
		secret, err := find(tx.Secrets(), spec.KindSecret, ref)
		if err != nil {
			return "", err
		}
		before := spec.NewestVersion(secret)
		secret.Meta.UpdatedAt = now
		what, err := how(tx, secret)
		if err != nil {
			return "", err
		}
		if warning := spec.ShapeChange(secret.GetMeta().GetName(), before, spec.NewestVersion(secret)); warning != "" {
			answer.Warnings = append(answer.Warnings, warning)
		}
		return secret.GetMeta().GetId(), errors.Join(tx.Secrets().Put(secret),
			tx.Events().Append(s.event(secret.GetMeta(), spec.KindSecret, "updated", what)),
			s.auditWith(ctx, tx, secretChange(secret, before.GetNumber())))
	})
	if err != nil {
		return nil, err
	}
	answer.Secret, err = s.read(ctx, &warrenv1.Ref{Namespace: ref.GetNamespace(), NameOrId: id})
	return answer, err
}

func nextVersion(secret *warrenv1.Secret) uint64 { return spec.NewestVersion(secret).GetNumber() + 1 }

// addVersion makes a version the newest. Older ones stay: control/secret drops
// them, since who uses them is only known of what is committed.
func addVersion(ctx context.Context, tx *store.Tx, secret *warrenv1.Secret, version *warrenv1.SecretVersion, value *storepb.SecretValue) error {
	m := secret.GetMeta()
	version.CreatedBy = callerName(ctx)
	secret.Versions = append(secret.GetVersions(), version)
	return tx.SecretValues().Put(value, m.GetNamespace(), m.GetId(), store.Version(version.GetNumber()))
}

// earlierVersion returns the version that a person wants back: the one before
// the newest when none is named.
func earlierVersion(secret *warrenv1.Secret, number uint64) (*warrenv1.SecretVersion, error) {
	name, versions := secret.GetMeta().GetName(), secret.GetVersions()
	newest := spec.NewestVersion(secret).GetNumber()
	switch {
	case number == 0 && len(versions) < 2:
		return nil, spec.Problemf(spec.Refused, spec.KindSecret, name, "secret %q has no version before %d to go back to", name, newest).
			WithHint("warren secret versions %s", name)
	case number == 0:
		return versions[len(versions)-2], nil
	case number == newest:
		return nil, spec.Problemf(spec.Refused, spec.KindSecret, name, "secret %q is at version %d already", name, newest).
			WithHint("warren secret versions %s", name)
	}
	if v := spec.VersionOf(secret, number); v != nil {
		return v, nil
	}
	return nil, noVersion(secret, number)
}

// noVersion refuses a version that a secret never had, or has no more.
func noVersion(secret *warrenv1.Secret, number uint64) error {
	name := secret.GetMeta().GetName()
	gone := ""
	if number != 0 && number < spec.NewestVersion(secret).GetNumber() {
		gone = " any more: it was pruned"
	}
	return spec.Problemf(spec.NotFound, spec.KindSecret, name, "secret %q has no version %d%s", name, number, gone).
		WithHint("warren secret versions %s", name)
}

// relabel sets and removes labels of an object.
func relabel(kind string, m *warrenv1.Meta, set map[string]string, remove []string) error {
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	for _, key := range remove {
		if _, has := m.Labels[key]; !has {
			return spec.Problemf(spec.NotFound, kind, m.GetName(), "%s %q has no label %q", kind, m.GetName(), key).
				WithHint("warren %s inspect %s", kind, m.GetName())
		}
		delete(m.Labels, key)
	}
	for key, value := range set {
		m.Labels[key] = value
	}
	return spec.Labels(m.GetLabels())
}
