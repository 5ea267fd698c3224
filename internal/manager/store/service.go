package store

import (
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Tables of services, of the specs that they had before, and of how far their
// updates are.
const (
	TableServices         Table = "service"
	TableServiceRevisions Table = "servicerevision"
	TableServiceUpdates   Table = "serviceupdate"
)

var services = &objectKind[warrenv1.Service, *warrenv1.Service]{
	noun: "service",
	kind: kind[warrenv1.Service, *warrenv1.Service]{table: TableServices, depth: 2, transient: func(s *warrenv1.Service) {
		s.Update, s.Tasks, s.Running, s.Warnings = nil, nil, 0, nil
	}},
}

var serviceRevisions = &kind[warrenv1.ServiceRevision, *warrenv1.ServiceRevision]{table: TableServiceRevisions, depth: 3}

var serviceUpdates = &kind[warrenv1.ServiceUpdate, *warrenv1.ServiceUpdate]{
	table: TableServiceUpdates, depth: 2,
	transient: func(u *warrenv1.ServiceUpdate) { u.Done, u.Order = 0, 0 },
}

// Services gives the services: <namespace>, <id>.
func (tx *ReadTx) Services() Objects[warrenv1.Service, *warrenv1.Service] {
	return objects(tx, services)
}

// Services gives the services: <namespace>, <id>.
func (tx *Tx) Services() ObjectsTx[warrenv1.Service, *warrenv1.Service] {
	return objectsTx(tx, services)
}

// ServiceRevisions gives the specs that services had before their present one:
// <namespace>, <service ID>, Version(revision).
func (tx *ReadTx) ServiceRevisions() Rows[warrenv1.ServiceRevision, *warrenv1.ServiceRevision] {
	return rows(tx, serviceRevisions)
}

// ServiceRevisions gives the specs that services had before their present one:
// <namespace>, <service ID>, Version(revision).
func (tx *Tx) ServiceRevisions() RowsTx[warrenv1.ServiceRevision, *warrenv1.ServiceRevision] {
	return rowsTx(tx, serviceRevisions)
}

// ServiceUpdates gives how far updates are: <namespace>, <service ID>.
func (tx *ReadTx) ServiceUpdates() Rows[warrenv1.ServiceUpdate, *warrenv1.ServiceUpdate] {
	return rows(tx, serviceUpdates)
}

// ServiceUpdates gives how far updates are: <namespace>, <service ID>.
func (tx *Tx) ServiceUpdates() RowsTx[warrenv1.ServiceUpdate, *warrenv1.ServiceUpdate] {
	return rowsTx(tx, serviceUpdates)
}

// KeepRevision keeps what the service is now among its earlier revisions, for
// the caller to make something else of it, and forgets the oldest of them.
func (tx *Tx) KeepRevision(service *warrenv1.Service) error {
	m := service.GetMeta()
	kept := slices.Collect(tx.ServiceRevisions().Keys(m.GetNamespace(), m.GetId()))
	for len(kept) >= spec.History(service.GetSpec()) {
		if err := tx.ServiceRevisions().Delete(kept[0].Parts()...); err != nil {
			return err
		}
		kept = kept[1:]
	}
	present := spec.PresentRevision(service)
	return tx.ServiceRevisions().Put(present, m.GetNamespace(), m.GetId(), Version(present.GetRevision()))
}
