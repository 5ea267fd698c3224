package store

import "github.com/cuemby/warren/internal/manager/store/storepb"

// TableRetired has the nodes that were managers once and are none any more.
const TableRetired Table = "retired"

var retired = &kind[storepb.Retired, *storepb.Retired]{table: TableRetired, depth: 1}

// Retired gives the managers that were removed or demoted: <node ID>.
func (tx *ReadTx) Retired() Rows[storepb.Retired, *storepb.Retired] { return rows(tx, retired) }

// Retired gives the managers that were removed or demoted: <node ID>.
func (tx *Tx) Retired() RowsTx[storepb.Retired, *storepb.Retired] { return rowsTx(tx, retired) }
