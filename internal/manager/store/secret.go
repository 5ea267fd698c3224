package store

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// Tables of secrets: what is said about them, and apart from it their sealed
// values.
const (
	TableSecrets      Table = "secret"
	TableSecretValues Table = "secretvalue"
)

var secrets = &objectKind[warrenv1.Secret, *warrenv1.Secret]{
	noun: "secret",
	kind: kind[warrenv1.Secret, *warrenv1.Secret]{table: TableSecrets, depth: 2, transient: func(s *warrenv1.Secret) {
		s.UsedBy, s.Tasks = nil, nil
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
