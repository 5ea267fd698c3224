//go:build next

package consensus

import bolt "go.etcd.io/bbolt"

// A build that stands for the next release, for the tests of upgrades: its
// database has another format, with nothing new in it.
func init() {
	format++
	migrations = append(migrations, func(*bolt.Tx) error { return nil })
}
