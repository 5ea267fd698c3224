package store

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// TablePorts says which service publishes a port.
const TablePorts Table = "port"

var ports = &kind[storepb.PortOwner, *storepb.PortOwner]{table: TablePorts, depth: 2}

// Ports gives the services that publish ports: see PortKey.
func (tx *ReadTx) Ports() Rows[storepb.PortOwner, *storepb.PortOwner] { return rows(tx, ports) }

// Ports gives the services that publish ports: see PortKey.
func (tx *Tx) Ports() RowsTx[storepb.PortOwner, *storepb.PortOwner] { return rowsTx(tx, ports) }

// PortKey gives the parts of a port's key. The address is not among them: a
// port belongs to one service, on whichever address.
func PortKey(protocol warrenv1.Protocol, port uint32) []string {
	return []string{spec.ProtocolName(protocol), fmt.Sprintf("%05d", port)}
}
