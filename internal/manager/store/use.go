package store

import "github.com/cuemby/warren/internal/manager/store/storepb"

// TableUses says which services name a volume or a secret.
const TableUses Table = "use"

var uses = &kind[storepb.Uses, *storepb.Uses]{table: TableUses, depth: 2}

// Uses gives the services that use an object: <namespace>, <volume or secret
// ID>.
func (tx *ReadTx) Uses() Rows[storepb.Uses, *storepb.Uses] { return rows(tx, uses) }

// Uses gives the services that use an object: <namespace>, <volume or secret
// ID>.
func (tx *Tx) Uses() RowsTx[storepb.Uses, *storepb.Uses] { return rowsTx(tx, uses) }
