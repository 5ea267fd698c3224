package store

import (
	"fmt"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// Tables of secrets: what is said about them, and apart from it their sealed
// values.
const (
	TableSecrets      Table = "secret"
	TableSecretValues Table = "secretvalue"
)

var secrets = &objectKind[warrenv1.Secret, *warrenv1.Secret]{
	noun: "secret",
	kind: kind[warrenv1.Secret, *warrenv1.Secret]{table: TableSecrets, depth: 2, witnessed: true, transient: func(s *warrenv1.Secret) {
		s.UsedBy, s.Tasks, s.Altered = nil, nil, false
	}},
}

var secretValues = &kind[storepb.SecretValue, *storepb.SecretValue]{table: TableSecretValues, depth: 3}

// In init, since the check reads a table through the same machinery.
func init() { secretValues.check = sealedNow }

// sealedNow makes whoever stores a value depend on which key seals: when that
// is replaced, all values of the old one are there to be found. ErrStaleKey for
// a value of another key.
func sealedNow(tx *Tx, value *storepb.SecretValue) error {
	keys, err := tx.ClusterKeys().Get()
	if err != nil {
		return ignoreNotFound(err)
	}
	for _, item := range value.GetItems() {
		if item.GetBox().GetKeyId() != keys.GetSealsWith() {
			return ErrStaleKey
		}
	}
	return nil
}

// Version is a part of a key that is the number of a secret's version or of a
// service's revision: its order is the numbers'.
func Version(number uint64) string { return fmt.Sprintf("%020d", number) }

// Secrets gives the secrets' metadata: <namespace>, <id>.
func (tx *ReadTx) Secrets() Objects[warrenv1.Secret, *warrenv1.Secret] { return objects(tx, secrets) }

// Secrets gives the secrets' metadata: <namespace>, <id>.
func (tx *Tx) Secrets() ObjectsTx[warrenv1.Secret, *warrenv1.Secret] { return objectsTx(tx, secrets) }

// SecretValues gives sealed values: <namespace>, <secret ID>, Version(number).
func (tx *ReadTx) SecretValues() Rows[storepb.SecretValue, *storepb.SecretValue] {
	return rows(tx, secretValues)
}

// SecretValues gives sealed values: <namespace>, <secret ID>, Version(number).
func (tx *Tx) SecretValues() RowsTx[storepb.SecretValue, *storepb.SecretValue] {
	return rowsTx(tx, secretValues)
}

// Whole checks a stored value against what the secret's record, which is vouched
// for, says of that version: a file that was left out would not show otherwise.
func Whole(secret *warrenv1.Secret, value *storepb.SecretValue) error {
	version := spec.VersionOf(secret, value.GetVersion())
	want := version.GetKeys()
	if len(want) == 0 {
		want = []string{""}
	}
	var have []string
	for _, item := range value.GetItems() {
		have = append(have, item.GetKey())
	}
	if version == nil || value.GetVersion() == 0 || !slices.Equal(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(have))) {
		return fmt.Errorf("the value of secret %q: %w", secret.GetMeta().GetName(), ErrAltered)
	}
	return nil
}
