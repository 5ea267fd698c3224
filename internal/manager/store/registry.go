package store

import warrenv1 "github.com/cuemby/warren/api/warren/v1"

// TableRegistries says how to speak to image registries.
const TableRegistries Table = "registry"

var registries = &kind[warrenv1.Registry, *warrenv1.Registry]{table: TableRegistries, depth: 1}

// Registries gives the registries: <host or host:port>.
func (tx *ReadTx) Registries() Rows[warrenv1.Registry, *warrenv1.Registry] {
	return rows(tx, registries)
}

// Registries gives the registries: <host or host:port>.
func (tx *Tx) Registries() RowsTx[warrenv1.Registry, *warrenv1.Registry] {
	return rowsTx(tx, registries)
}
