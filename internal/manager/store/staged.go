package store

import (
	"bytes"

	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// TableStaged is the imports of secrets that are not done yet.
const TableStaged Table = "staged"

var staged = &kind[storepb.Staged, *storepb.Staged]{table: TableStaged, depth: 2}

// Staged gives the imports that are not done yet: <import>, <number of the part>.
func (tx *ReadTx) Staged() Rows[storepb.Staged, *storepb.Staged] { return rows(tx, staged) }

// Staged gives the imports that are not done yet: <import>, <number of the part>.
func (tx *Tx) Staged() RowsTx[storepb.Staged, *storepb.Staged] { return rowsTx(tx, staged) }

// Unstage throws away a part of an import, with its values, unless others have
// taken their places. Without it the import cannot be finished any more.
func (tx *Tx) Unstage(parts ...string) error {
	part, err := tx.Staged().Get(parts...)
	if err != nil {
		return ignoreNotFound(err)
	}
	tx.Reclaim()
	for _, v := range part.GetValues() {
		value, err := tx.SecretValues().Get(v.GetNamespace(), v.GetSecretId(), Version(v.GetVersion()))
		if ignoreNotFound(err) != nil {
			return err
		}
		if len(value.GetItems()) == 0 || !bytes.Equal(value.GetItems()[0].GetBox().GetIv(), v.GetIv()) {
			continue
		}
		if err := tx.SecretValues().Delete(v.GetNamespace(), v.GetSecretId(), Version(v.GetVersion())); err != nil {
			return err
		}
	}
	return tx.Staged().Delete(parts...)
}
