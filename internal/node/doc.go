// Package node is the composition root: it starts the roles of one node with
// explicit constructors, in an order that can be read, and stops them in the
// opposite one. It is the only package that knows the others' concrete types.
//
//	init.go      a new cluster of one
//	start.go     a node that was set up before
//	manager.go   state, keys, API, reconcilers
//	worker.go    containers, volumes, secrets, network, and the agent that uses them
package node
