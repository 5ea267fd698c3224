package agent

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 200 * time.Millisecond
	backoffMost  = 30 * time.Second
	// ranWell is how long a container must run for its next failure to count
	// as the first again.
	ranWell = time.Minute
)

// backoff is how long to wait after so many failures in a row: 0.2 s doubling
// to 30 s.
func backoff(failures int) time.Duration {
	wait := backoffFirst
	for ; failures > 1 && wait < backoffMost; failures-- {
		wait *= 2
	}
	return min(wait, backoffMost)
}

// jitter spreads a wait by up to a half upwards, so that workers which lost
// the same manager do not come back at once.
func jitter(wait time.Duration) time.Duration {
	return wait + rand.N(wait/2+1)
}

// drift is a time up to that long.
func drift(most time.Duration) time.Duration { return rand.N(most + 1) }
