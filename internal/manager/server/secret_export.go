package server

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// recordsAtOnce bounds the records of one transaction.
const recordsAtOnce = 1000

// ExportSecrets sends the values of secrets, each sealed to the caller's key.
// That they are exported is recorded first.
func (s *secrets) ExportSecrets(r *warrenv1.ExportSecretsRequest, out grpc.ServerStreamingServer[warrenv1.ExportedSecret]) error {
	ctx := out.Context()
	to, err := seal.NewEnvelopes(r.GetSealingKey())
	if err != nil {
		return spec.Problemf(spec.Invalid, spec.KindSecret, "", "the key to export to: %v", err)
	}
	defer to.Destroy()
	exported, err := s.toExport(ctx, r)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(exported, recordsAtOnce) {
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			for _, secret := range some {
				if err := s.audit(ctx, tx, "exported", spec.KindSecret, secret.GetMeta(), numbersOf(secret.GetVersions())...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, secret := range exported {
		if err := s.export(secret, to, out); err != nil {
			return err
		}
	}
	return nil
}

// toExport returns the secrets that are asked for, by namespace and name.
func (s *secrets) toExport(ctx context.Context, r *warrenv1.ExportSecretsRequest) (exported []*warrenv1.Secret, err error) {
	err = s.store.View(ctx, func(tx *store.ReadTx) error {
		for _, name := range r.GetNames() {
			secret, err := find(tx.Secrets(), spec.KindSecret, &warrenv1.Ref{Namespace: r.GetNamespace(), NameOrId: name})
			if err != nil {
				return err
			}
			exported = append(exported, secret)
		}
		if len(r.GetNames()) > 0 {
			return nil
		}
		var of []string
		if r.GetNamespace() != "" {
			if err := spec.ValidNamespace(r.GetNamespace()); err != nil {
				return err
			}
			of = append(of, r.GetNamespace())
		}
		for key, secret := range tx.Secrets().List(of...) {
			// A registry's password is no secret that anybody made by its name.
			if key.Namespace() != spec.SystemNamespace {
				exported = append(exported, secret)
			}
		}
		return nil
	})
	return exported, err
}

// export sends the versions of one secret.
func (s *secrets) export(secret *warrenv1.Secret, to *seal.Envelopes, out grpc.ServerStreamingServer[warrenv1.ExportedSecret]) error {
	m := secret.GetMeta()
	head := &warrenv1.Secret{Meta: m, Lifetime: secret.GetLifetime(), Keep: secret.GetKeep()}
	for _, version := range secret.GetVersions() {
		var value *storepb.SecretValue
		err := s.store.ViewStale(out.Context(), func(tx *store.ReadTx) (err error) {
			value, err = tx.SecretValues().Get(m.GetNamespace(), m.GetId(), store.Version(version.GetNumber()))
			if err != nil {
				return err
			}
			return store.Whole(secret, value)
		})
		if errors.Is(err, store.ErrNotFound) {
			return spec.Problemf(spec.Unavailable, spec.KindSecret, m.GetName(), "secret %q was changed while it was exported", m.GetName()).
				WithHint("try again")
		}
		if err != nil {
			return err
		}
		o := vault.Object{Kind: vault.Secret, Namespace: m.GetNamespace(), ID: m.GetId(), Name: m.GetName(), Version: version.GetNumber()}
		items, err := s.config.Vault.Export(o, value.GetItems(), to)
		if err != nil {
			return err
		}
		if err := out.Send(&warrenv1.ExportedSecret{Secret: head, Version: version, Items: items}); err != nil {
			return err
		}
	}
	return nil
}
