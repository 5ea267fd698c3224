package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/failpoint"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/spec"
)

// One transaction seals at most so many values again, and stops at so many
// bytes: reads and writes of others go between two of them.
const (
	maxBatchValues = 512
	maxBatchBytes  = 384 << 10
)

// reseal seals again whatever the new key has not sealed, then the cluster's
// own keys. The rows are listed after the new key was promoted; from then on
// none can be stored that needs the old one.
func (r *Reconciler) reseal(ctx context.Context) error {
	var keys []store.Key
	err := r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for key := range tx.SecretValues().Keys() {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		passed, err := r.resealBatch(ctx, keys)
		if err != nil {
			return err
		}
		keys = keys[passed:]
		failpoint.Hit("rotate.batch")
	}
	return r.advance(ctx, warrenv1.RotationPhase_ROTATION_PHASE_RESEALING, warrenv1.RotationPhase_ROTATION_PHASE_HANDING_OUT,
		func(_ *store.Tx, rotation *warrenv1.Rotation, keys *storepb.ClusterKeys) (*storepb.ClusterKeys, error) {
			rotation.Total = rotation.GetDone() // some may have been deleted
			return r.vault.ResealKeys(keys)
		})
}

// resealBatch seals the values of the first keys again, and returns how many
// keys it has dealt with: at least one.
func (r *Reconciler) resealBatch(ctx context.Context, keys []store.Key) (passed int, err error) {
	err = r.store.Update(ctx, func(tx *store.Tx) error {
		rotation, err := tx.Rotation().Get()
		if err != nil || rotation.GetPhase() != warrenv1.RotationPhase_ROTATION_PHASE_RESEALING {
			return err
		}
		b := &batch{tx: tx, keyID: rotation.GetKeyId(), now: timestamppb.New(r.now())}
		if passed, err = b.gather(keys); err != nil {
			return err
		}
		unreadable, err := r.vault.Reseal(b.values)
		if err != nil {
			return err
		}
		for i, row := range b.rows {
			if why := unreadable[i]; why != nil {
				err = b.lose(rotation, b.values[i].Object, why)
			} else {
				err = tx.SecretValues().Put(row, b.keys[i].Parts()...)
			}
			if err != nil {
				return err
			}
		}
		rotation.Done = min(rotation.GetDone()+uint64(len(b.rows)), rotation.GetTotal())
		if len(b.rows) == 0 {
			return nil
		}
		return tx.Rotation().Put(rotation)
	})
	return passed, err
}

// batch is some values that another key than keyID has sealed.
type batch struct {
	tx    *store.Tx
	keyID string
	now   *timestamppb.Timestamp

	keys   []store.Key
	rows   []*storepb.SecretValue
	values []vault.Stored
}

// gather reads rows until the batch is full, and returns how many keys it has
// looked at.
func (b *batch) gather(keys []store.Key) (passed int, err error) {
	bytes := 0
	for _, key := range keys {
		row, err := b.tx.SecretValues().Get(key.Parts()...)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return 0, err
		}
		if err == nil && b.stale(row) {
			object, known, err := b.object(key)
			if err != nil {
				return 0, err
			}
			if !known {
				passed++
				continue
			}
			size := proto.Size(row)
			if len(b.rows) > 0 && (bytes+size > maxBatchBytes || len(b.rows) == maxBatchValues) {
				return passed, nil
			}
			bytes += size
			b.keys, b.rows = append(b.keys, key), append(b.rows, row)
			b.values = append(b.values, vault.Stored{Object: object, Items: row.GetItems()})
		}
		passed++
	}
	return passed, nil
}

func (b *batch) stale(row *storepb.SecretValue) bool {
	for _, item := range row.GetItems() {
		if item.GetBox().GetKeyId() != b.keyID {
			return true
		}
	}
	return false
}

// object is what a stored value belongs to, by the place where it is: a version
// of a secret, or the registry whose password it is. What belongs to nobody,
// such as a part of an import that is not done, is not known.
func (b *batch) object(key store.Key) (o vault.Object, known bool, err error) {
	parts := key.Parts()
	o = vault.Object{Kind: vault.Secret, Namespace: parts[0], ID: parts[1]}
	if o.Version, err = strconv.ParseUint(parts[2], 10, 64); err != nil {
		return o, false, fmt.Errorf("the row %s has no version: %w", key, err)
	}
	// Of a record that was altered, which nobody uses, the name is at most wrong:
	// then the value does not open.
	secret, err := b.tx.Secrets().EvenAltered().Peek(o.Namespace, o.ID)
	if errors.Is(err, store.ErrAltered) {
		return o, false, nil
	}
	if err != nil {
		return o, false, unlessNotFound(err)
	}
	o.Name = secret.GetMeta().GetName()
	known = slices.ContainsFunc(secret.GetVersions(), func(v *warrenv1.SecretVersion) bool { return v.GetNumber() == o.Version })
	if o.Namespace != spec.SystemNamespace {
		return o, known, nil
	}
	for _, registry := range b.tx.Registries().List() {
		if registry.GetSecretId() == o.ID {
			o.Kind, o.Namespace, o.Name = vault.Registry, "", registry.GetHost()
		}
	}
	return o, known, nil
}

// lose notes a value that nobody can read: it does not open with the old key
// either, which goes.
func (b *batch) lose(rotation *warrenv1.Rotation, o vault.Object, why error) error {
	name := fmt.Sprintf("%s %s version %d", o.Kind, o.Name, o.Version)
	if slices.Contains(rotation.GetUnreadable(), name) {
		return nil // by whoever began this rotation
	}
	rotation.Unreadable = append(rotation.Unreadable, name)
	return b.tx.Events().Append(&warrenv1.Event{
		Time: b.now, Kind: string(o.Kind), Namespace: o.Namespace, Name: o.Name, Id: o.ID,
		Reason: "unreadable", Message: why.Error(),
	})
}
