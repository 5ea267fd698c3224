package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// stagedAtOnce bounds the bytes of values that one transaction stages.
const stagedAtOnce = 512 << 10

// makeVisible stores the values, then makes all secrets of the import at once.
// When that does not come about the values go again: at once here, and if this
// manager is not there any more, by control/reap.
func (im *imports) makeVisible(ctx context.Context) error {
	random := im.config.Rand()
	id := fmt.Sprintf("%x", random[:])
	parts, err := im.stage(ctx, id)
	if err == nil {
		_, err = im.commit(ctx, func(tx *store.Tx) (string, error) { return id, im.flip(ctx, tx, id, parts) })
	}
	// Of what nobody knows the outcome of, nothing is thrown away now.
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		err = errors.Join(err, im.unstage(context.WithoutCancel(ctx), id, parts))
	}
	return err
}

// stage stores the values and returns how many parts that took.
func (im *imports) stage(ctx context.Context, id string) (parts uint64, err error) {
	var part []*storepb.SecretValue
	bytes := 0
	put := func() error {
		if len(part) == 0 {
			return nil
		}
		parts++
		err := im.store.Update(apart(ctx), func(tx *store.Tx) error { return im.stagePart(tx, id, parts, part) })
		part, bytes = nil, 0
		return err
	}
	for _, s := range im.list {
		for _, value := range s.values {
			size := proto.Size(value)
			if bytes+size > stagedAtOnce {
				if err := put(); err != nil {
					return parts, err
				}
			}
			part, bytes = append(part, value), bytes+size
		}
	}
	return parts, put()
}

func (im *imports) stagePart(tx *store.Tx, id string, number uint64, values []*storepb.SecretValue) error {
	staged := &storepb.Staged{StagedAt: im.now()}
	for _, value := range values {
		namespace := im.namespaceOf(value.GetSecretId())
		staged.Values = append(staged.Values, &storepb.StagedValue{Namespace: namespace, SecretId: value.GetSecretId(), Version: value.GetVersion(), Iv: value.GetItems()[0].GetBox().GetIv()})
		key := []string{namespace, value.GetSecretId(), store.Version(value.GetVersion())}
		// Somebody else made this version of a secret that is there meanwhile.
		if _, err := tx.SecretValues().Get(key...); err == nil {
			return changedMeanwhile(value.GetSecretId())
		}
		if err := tx.SecretValues().Put(value, key...); err != nil {
			return err
		}
	}
	return tx.Staged().Put(staged, id, store.Version(number))
}

func (im *imports) namespaceOf(secretID string) string {
	i := slices.IndexFunc(im.list, func(s *incoming) bool { return s.secret.GetMeta().GetId() == secretID })
	return im.list[i].meta.GetNamespace()
}

// flip makes the secrets whose values are staged.
func (im *imports) flip(ctx context.Context, tx *store.Tx, id string, parts uint64) error {
	for number := range parts {
		if _, err := tx.Staged().Get(id, store.Version(number+1)); err != nil {
			return spec.Problemf(spec.Unavailable, spec.KindSecret, "", "the import took too long: nothing was imported").WithHint("try again")
		}
		if err := tx.Staged().Delete(id, store.Version(number+1)); err != nil {
			return err
		}
	}
	// Values that belong to nobody yet are not sealed anew when keys change.
	if keys, err := tx.ClusterKeys().Get(); err != nil || !proto.Equal(keys, im.keys) {
		return errors.Join(err, spec.Problemf(spec.Unavailable, spec.KindSecret, "", "the cluster's keys are being changed: nothing was imported").WithHint("try again"))
	}
	settled := map[string]bool{}
	for _, s := range im.list {
		if err := im.flipOne(ctx, tx, s); err != nil {
			return err
		}
		settled[s.meta.GetNamespace()] = len(s.values) > 0 || settled[s.meta.GetNamespace()]
	}
	for _, namespace := range slices.Sorted(maps.Keys(settled)) {
		if err := settle(tx, namespace); settled[namespace] && err != nil {
			return err
		}
	}
	return tx.Events().Append(im.told(ctx))
}

func (im *imports) flipOne(ctx context.Context, tx *store.Tx, s *incoming) error {
	if len(s.values) == 0 {
		return nil
	}
	var imported []uint64
	for _, value := range s.values {
		imported = append(imported, value.GetVersion())
	}
	name := s.meta.GetName()
	now, err := optional(tx.Secrets().ByName(s.meta.GetNamespace(), name))
	switch {
	case err != nil:
		return err
	case s.there == nil && now != nil, s.there != nil && !proto.Equal(now, s.there):
		return changedMeanwhile(name)
	case s.there == nil:
		err = tx.Secrets().Create(s.secret)
	default:
		err = tx.Secrets().Put(s.secret)
	}
	return errors.Join(err, im.audit(ctx, tx, "imported", spec.KindSecret, s.secret.GetMeta(), imported...))
}

func changedMeanwhile(name string) error {
	return spec.Problemf(spec.Unavailable, spec.KindSecret, name, "secret %q was changed during the import: nothing was imported", name).WithHint("try again")
}

// unstage throws staged values away.
func (im *imports) unstage(ctx context.Context, id string, parts uint64) error {
	for number := range parts {
		err := im.store.Update(apart(ctx), func(tx *store.Tx) error { return tx.Unstage(id, store.Version(number+1)) })
		if err != nil {
			im.log.Warn("an import left values behind; they are thrown away later", "import", id, "error", err)
			return nil
		}
	}
	return nil
}
