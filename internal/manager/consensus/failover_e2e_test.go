//go:build e2e

package consensus_test

import (
	"testing"
	"time"
)

func TestFailoverIsQuick(t *testing.T) {
	times := failover(t, 20)
	if median, worst := times[len(times)/2], times[len(times)-1]; median > time.Second || worst > 2*time.Second {
		t.Errorf("median %s, worst %s", median, worst)
	}
}

func TestLongHistoriesAreLinearizable(t *testing.T) {
	for seed := range uint64(5) {
		linearizable(t, 8*time.Second, seed+2)
	}
}
