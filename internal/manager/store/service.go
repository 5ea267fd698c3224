package store

import warrenv1 "github.com/cuemby/warren/api/warren/v1"

// TableServices is the table of services.
const TableServices Table = "service"

var services = &objectKind[warrenv1.Service, *warrenv1.Service]{
	noun: "service",
	kind: kind[warrenv1.Service, *warrenv1.Service]{table: TableServices, depth: 2, transient: func(s *warrenv1.Service) {
		s.Tasks, s.Running, s.Warnings = nil, 0, nil
	}},
}

// Services gives the services: <namespace>, <id>.
func (tx *ReadTx) Services() Objects[warrenv1.Service, *warrenv1.Service] {
	return objects(tx, services)
}

// Services gives the services: <namespace>, <id>.
func (tx *Tx) Services() ObjectsTx[warrenv1.Service, *warrenv1.Service] {
	return objectsTx(tx, services)
}
