// Package bridge connects tasks to a bridge on Linux: a network namespace and
// a veth pair for each task, one bridge and one nftables table for each node.
package bridge
