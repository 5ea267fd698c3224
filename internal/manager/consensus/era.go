package consensus

import (
	"crypto/rand"

	bolt "go.etcd.io/bbolt"
)

// An era begins when one manager's state is declared to be the cluster's: when
// a copy is restored, or a lost majority is given up. Managers that still have
// the state of an earlier era would agree upon entries that never were in this
// one, so managers of different eras do not speak Raft with one another: the
// transport asks for Era. An empty one comes with the cluster; a manager that
// joins takes over the era with its first snapshot, which it always gets, since
// the log of an era begins with one.
var keyEra = []byte("era")

func readEra(tx *bolt.Tx) string { return string(tx.Bucket(bucketMeta).Get(keyEra)) }

func writeEra(tx *bolt.Tx, era string) error { return tx.Bucket(bucketMeta).Put(keyEra, []byte(era)) }

func newEra() string { return rand.Text()[:12] }

// Era names the era of this manager's state. Blank says that it has no state
// yet, and takes whichever comes.
func (c *Consensus) Era() (era string, blank bool) {
	return c.machine.era.Load().(string), c.machine.applied.Load() == 0
}
