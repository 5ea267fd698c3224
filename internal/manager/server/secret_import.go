package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/spec"
)

// maxImport is how many secrets become visible in one transaction: each takes
// some 600 bytes of it.
const maxImport = 1500

// imports is one import that is under way.
type imports struct {
	*secrets
	onConflict warrenv1.OnConflict
	// keys are what the values were sealed with.
	keys *storepb.ClusterKeys
	list []*incoming
}

// incoming is one secret of an import.
type incoming struct {
	meta    *warrenv1.Meta
	outcome warrenv1.ImportOutcome
	// secret is as it will be; of one that is there, with one version more.
	secret *warrenv1.Secret
	values []*storepb.SecretValue
	// there is the one that has the name; nil when it is free.
	there *warrenv1.Secret
}

// ImportSecrets makes secrets of what comes in. The values are stored first,
// where they belong to nobody; then one transaction makes all of them visible.
func (s *secrets) ImportSecrets(in grpc.ClientStreamingServer[warrenv1.ImportSecretsRequest, warrenv1.ImportSecretsResponse]) error {
	ctx := in.Context()
	im := &imports{secrets: s}
	if err := im.begin(ctx, in); err != nil {
		return err
	}
	for {
		r, err := in.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = im.take(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	if err := im.decide(ctx); err != nil {
		return err
	}
	if err := im.makeVisible(ctx); err != nil {
		return err
	}
	return in.SendAndClose(im.answer())
}

func (im *imports) begin(ctx context.Context, in grpc.ServerStream) error {
	head := &warrenv1.ImportSecretsRequest{}
	err := in.RecvMsg(head)
	if errors.Is(err, io.EOF) || err == nil && head.GetSecret() != nil {
		return spec.Problemf(spec.Invalid, spec.KindSecret, "", "an import begins with what is to be done about names that are taken")
	}
	if err != nil {
		return err
	}
	im.onConflict = head.GetOnConflict()
	return im.store.View(ctx, func(tx *store.ReadTx) (err error) {
		im.keys, err = tx.ClusterKeys().Get()
		return err
	})
}

// take takes the next version in and seals it for keeping.
func (im *imports) take(ctx context.Context, r *warrenv1.ImportSecretsRequest) error {
	m := r.GetSecret().GetMeta()
	check := &warrenv1.CreateSecretRequest{
		Namespace: spec.Namespace(m.GetNamespace()), Name: m.GetName(), Labels: m.GetLabels(),
		Lifetime: r.GetSecret().GetLifetime(), Keep: r.GetSecret().GetKeep(), Items: r.GetItems(),
	}
	if err := spec.ValidateSecret(check); err != nil {
		return err
	}
	s, err := im.current(ctx, check)
	if err != nil || s.outcome == warrenv1.ImportOutcome_IMPORT_OUTCOME_SKIPPED {
		return err
	}
	number := r.GetVersion().GetNumber()
	if s.there != nil {
		number = nextVersion(s.there)
		s.secret.Versions, s.values = s.there.GetVersions(), nil // the newest one counts
	} else if newest := spec.NewestVersion(s.secret); number <= newest.GetNumber() {
		return spec.Problemf(spec.Invalid, spec.KindSecret, m.GetName(), "version %d of secret %q comes after version %d", number, m.GetName(), newest.GetNumber())
	}
	version, value, err := im.sealItems(vault.Secret, s.secret.GetMeta(), check.GetName(), number, r.GetItems())
	if err != nil {
		return err
	}
	version.CreatedBy, version.CreatedAt = r.GetVersion().GetCreatedBy(), r.GetVersion().GetCreatedAt()
	version.ExpiresAt, version.CopyOf = r.GetVersion().GetExpiresAt(), r.GetVersion().GetCopyOf()
	if s.there != nil {
		version.CreatedBy, version.CreatedAt, version.CopyOf = callerName(ctx), im.now(), 0
	}
	s.secret.Versions = append(s.secret.Versions[:len(s.secret.Versions):len(s.secret.Versions)], version)
	s.values = append(s.values, value)
	return nil
}

// current is the secret whose versions are coming in; a new one begins when its
// name is not that of the last.
func (im *imports) current(ctx context.Context, r *warrenv1.CreateSecretRequest) (*incoming, error) {
	if n := len(im.list); n > 0 {
		if last := im.list[n-1]; last.meta.GetNamespace() == r.GetNamespace() && last.meta.GetName() == r.GetName() {
			return last, nil
		}
	}
	for _, other := range im.list {
		if other.meta.GetNamespace() == r.GetNamespace() && other.meta.GetName() == r.GetName() {
			return nil, spec.Problemf(spec.Invalid, spec.KindSecret, r.GetName(), "secret %q is in the import twice", r.GetName())
		}
	}
	if len(im.list) == maxImport {
		return nil, spec.Problemf(spec.Refused, spec.KindSecret, "", "an import is done in one moment, and at most %d secrets are", maxImport).
			WithHint("export fewer at a time, by name or with --namespace, and import one file after the other")
	}
	s := &incoming{outcome: warrenv1.ImportOutcome_IMPORT_OUTCOME_CREATED}
	s.meta = &warrenv1.Meta{
		Id: spec.SecretID(r.GetName(), im.config.Rand()), Name: r.GetName(), Namespace: r.GetNamespace(), Labels: r.GetLabels(),
		CreatedAt: im.now(), UpdatedAt: im.now(),
	}
	s.secret = &warrenv1.Secret{Meta: s.meta, Lifetime: r.GetLifetime(), Keep: r.GetKeep()}
	err := im.store.View(ctx, func(tx *store.ReadTx) (err error) {
		s.there, err = optional(tx.Secrets().ByName(r.GetNamespace(), r.GetName()))
		return err
	})
	if s.there != nil {
		s.secret = proto.CloneOf(s.there)
		s.secret.Meta.UpdatedAt = im.now()
		s.outcome = warrenv1.ImportOutcome_IMPORT_OUTCOME_UPDATED
		if im.onConflict == warrenv1.OnConflict_ON_CONFLICT_SKIP {
			s.outcome = warrenv1.ImportOutcome_IMPORT_OUTCOME_SKIPPED
		}
	}
	im.list = append(im.list, s)
	return s, err
}

// decide refuses names that are taken, and finds the values that are there.
func (im *imports) decide(ctx context.Context) error {
	var taken []string
	for _, s := range im.list {
		if s.there == nil {
			continue
		}
		taken = append(taken, s.meta.GetName())
		if im.onConflict != warrenv1.OnConflict_ON_CONFLICT_UPDATE {
			continue
		}
		same, err := im.unchanged(ctx, s)
		if err != nil {
			return err
		}
		if same {
			s.outcome, s.values = warrenv1.ImportOutcome_IMPORT_OUTCOME_UNCHANGED, nil
		}
	}
	if len(taken) > 0 && im.onConflict == warrenv1.OnConflict_ON_CONFLICT_FAIL {
		return spec.Problemf(spec.Exists, spec.KindSecret, taken[0], "%s exists already: nothing was imported", count("secret", taken)).
			WithHint("--on-conflict skip leaves those out, --on-conflict update gives them a new version")
	}
	return nil
}

func (im *imports) unchanged(ctx context.Context, s *incoming) (same bool, err error) {
	m, newest := s.there.GetMeta(), spec.NewestVersion(s.there).GetNumber()
	was := vault.Object{Kind: vault.Secret, Namespace: m.GetNamespace(), ID: m.GetId(), Name: m.GetName(), Version: newest}
	is := was
	is.Version = s.values[0].GetVersion()
	err = im.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		value, err := tx.SecretValues().Get(m.GetNamespace(), m.GetId(), store.Version(newest))
		if err != nil {
			return err
		}
		same, err = im.config.Vault.Same(was, value.GetItems(), is, s.values[0].GetItems())
		return err
	})
	return same, err
}

func (im *imports) answer() *warrenv1.ImportSecretsResponse {
	answer := &warrenv1.ImportSecretsResponse{}
	for _, s := range im.list {
		newest := spec.NewestVersion(s.secret)
		if len(s.values) == 0 {
			newest = spec.NewestVersion(s.there)
		}
		answer.Secrets = append(answer.Secrets, &warrenv1.ImportedSecret{
			Namespace: s.meta.GetNamespace(), Name: s.meta.GetName(), Outcome: s.outcome, Version: newest.GetNumber(),
		})
	}
	return answer
}

// told is what people read of the import among the events.
func (im *imports) told(ctx context.Context) *warrenv1.Event {
	n := 0
	for _, s := range im.list {
		if len(s.values) > 0 {
			n++
		}
	}
	return im.event(&warrenv1.Meta{Name: fmt.Sprintf("%d secrets", n)}, spec.KindSecret, "imported", "by "+callerName(ctx))
}
