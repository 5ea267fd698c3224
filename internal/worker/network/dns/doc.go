// Package dns answers the tasks of a node for the names of services and tasks,
// from what the node itself knows, and asks the host's resolvers for all else.
//
// In namespace data, the tasks of service postgres are
//
//	postgres                                  from the same namespace
//	postgres.data                             from any
//	postgres.data.warren.internal             in full
//	postgres-1, postgres-task-1               the first task alone, likewise
//
// and addresses lead back to postgres-task-1.data.warren.internal. A name has
// the addresses of ready tasks only, in a different order each time. A known
// name without ready tasks has no address; it is not asked for elsewhere.
package dns
