package store

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// TableTokens has what the cluster knows of join tokens.
const TableTokens Table = "token"

var tokens = &kind[warrenv1.JoinToken, *warrenv1.JoinToken]{table: TableTokens, depth: 1}

// Tokens gives the join tokens: <id>.
func (tx *ReadTx) Tokens() Rows[warrenv1.JoinToken, *warrenv1.JoinToken] { return rows(tx, tokens) }

// Tokens gives the join tokens: <id>.
func (tx *Tx) Tokens() RowsTx[warrenv1.JoinToken, *warrenv1.JoinToken] { return rowsTx(tx, tokens) }
