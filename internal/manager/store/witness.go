package store

import (
	"crypto/subtle"
	"fmt"
)

// tableWitness is what vouches for rows of other tables, by their keys.
const tableWitness Table = "witness"

// Witness vouches for rows that decide which secret values are given out, which
// whoever can write to warren.db would else change, or replace by what they
// were before: the code of a row lies apart from it, so that neither an edited
// row nor an old one put back fits it.
type Witness interface {
	// Witness returns the code of a row. Nobody can make it up who lacks the
	// cluster's keys.
	Witness(key string, row []byte) ([]byte, error)
}

// SetWitness has rows vouched for from now on. It is called before the store is
// used; a store without it, as of a manager whose keys are locked, reads
// whatever is there.
func (s *Store) SetWitness(w Witness) { s.witness = w }

func witnessKey(key string) string { return string(tableWitness) + "/" + key }

// attest writes the code of a row that is written, or removes it with the row.
func (tx *Tx) attest(key string, row []byte) error {
	if tx.witness == nil {
		return nil
	}
	if row == nil {
		tx.delete(witnessKey(key))
		return nil
	}
	code, err := tx.witness.Witness(key, row)
	if err != nil {
		return fmt.Errorf("vouch for %s: %w", key, err)
	}
	tx.put(witnessKey(key), code)
	return nil
}

// vouched is ErrAltered unless the row is the one that was written last.
func (tx *ReadTx) vouched(key string, row []byte) error {
	if tx.witness == nil {
		return nil
	}
	want, err := tx.witness.Witness(key, row)
	if err != nil {
		return fmt.Errorf("vouch for %s: %w", key, err)
	}
	if subtle.ConstantTimeCompare(want, tx.get(witnessKey(key), false)) != 1 {
		return fmt.Errorf("%w: %s", ErrAltered, key)
	}
	return nil
}
