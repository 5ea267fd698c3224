package server

import (
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// What the tests of guards call inside transactions of their own.
var AddUse = addUse

// RemoveUnused is the transaction of a volume's deletion.
func RemoveUnused(s *Server, tx *store.Tx, ref *warrenv1.Ref, force bool) error {
	v := &volumes{Server: s}
	volume, err := find(tx.Volumes(), spec.KindVolume, ref)
	if err != nil {
		return err
	}
	if err := v.unused(tx, volume, force); err != nil {
		return err
	}
	return v.remove(tx, volume, true)
}
