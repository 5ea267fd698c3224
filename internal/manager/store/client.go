package store

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// TableClients has the people and programs whose certificates are worth
// something.
const TableClients Table = "client"

var clients = &objectKind[warrenv1.Client, *warrenv1.Client]{
	noun: "client", global: true,
	kind: kind[warrenv1.Client, *warrenv1.Client]{table: TableClients, depth: 1},
}

// Clients gives the clients: <id>. They belong to no namespace.
func (tx *ReadTx) Clients() Objects[warrenv1.Client, *warrenv1.Client] { return objects(tx, clients) }

// Clients gives the clients: <id>. They belong to no namespace.
func (tx *Tx) Clients() ObjectsTx[warrenv1.Client, *warrenv1.Client] { return objectsTx(tx, clients) }
